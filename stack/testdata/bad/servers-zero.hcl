stack "shop" {}
provider "digitalocean" {}
group "a" { servers = 0 }
