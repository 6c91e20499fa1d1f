stack "shop" {}
provider "digitalocean" {}
group "web" {
  size { cpus = 2 }
}
