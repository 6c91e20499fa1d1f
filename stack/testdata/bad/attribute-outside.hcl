stack "shop" {}
provider "digitalocean" {}
servers = 2
