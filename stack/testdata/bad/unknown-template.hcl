stack "shop" {}
provider "digitalocean" {}
group "blue" { template = "web" }
