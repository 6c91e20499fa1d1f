stack "shop" {}
provider "digitalocean" {}
locals "x" {
  a = 1
}
