stack "shop" {}
provider "digitalocean" {}
group "a" { servers = "two" }
