stack "shop" {}
provider "digitalocean" {}
build "app" { tags = ["a b"] }
