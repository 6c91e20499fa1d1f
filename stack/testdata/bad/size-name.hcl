stack "shop" {}
provider "digitalocean" {}
group "a" {
  size = { cpu = 2, memory = "4GB" }
}
