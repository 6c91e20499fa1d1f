stack "shop" {}
provider "digitalocean" {}
ssh_key "ann" { public_key = "-----BEGIN OPENSSH PRIVATE KEY-----" }
