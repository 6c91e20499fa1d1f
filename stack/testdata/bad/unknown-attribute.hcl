stack "shop" {}
provider "digitalocean" {}
group "web" {
  sevrers = 1
  size    = "small"
}
