stack "shop" {}
provider "digitalocean" {}
group "a" { servers = 1.5 }
