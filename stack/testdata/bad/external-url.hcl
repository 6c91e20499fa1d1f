stack "shop" {}
provider "digitalocean" {}
external "redis" { url = "10.0.0.5:6379" }
