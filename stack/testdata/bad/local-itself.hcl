stack "shop" {}
provider "digitalocean" {}
locals { a = local.a }
