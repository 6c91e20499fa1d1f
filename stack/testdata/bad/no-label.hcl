stack "shop" {}
provider "digitalocean" {}
group {
  servers = 1
}
