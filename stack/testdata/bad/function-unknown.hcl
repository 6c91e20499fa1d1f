stack "shop" {}
provider "digitalocean" {}
locals { a = uper("x") }
