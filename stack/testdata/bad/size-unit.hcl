stack "shop" {}
provider "digitalocean" {}
group "a" {
  size = { cpus = 2, memory = 4096 }
}
