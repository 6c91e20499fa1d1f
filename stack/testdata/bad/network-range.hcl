stack "shop" {}
provider "digitalocean" {}
network "main" { ip_range = "10.10.0.1/20" }
