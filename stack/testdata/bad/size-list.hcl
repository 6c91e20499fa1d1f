stack "shop" {}
provider "digitalocean" {}
group "a" {
  size = [2, "4GB"]
}
