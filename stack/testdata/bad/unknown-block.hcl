stack "shop" {}
provider "digitalocean" {}
grop "web" {
  servers = 1
}
