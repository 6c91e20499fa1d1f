stack "shop" {}
provider "digitalocean" {}
group "a" { image = ["debian-12"] }
