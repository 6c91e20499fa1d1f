stack "shop" {}
provider "digitalocean" {}
group "web" {
  image = debian-12
}
