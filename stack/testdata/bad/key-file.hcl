stack "shop" {}
provider "digitalocean" {}
ssh_key "ann" { file = "nobody.pub" }
