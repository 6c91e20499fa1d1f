stack "shop" {}
provider "digitalocean" {}
ssh_key "ann" { public_key = "ssh-ed25519 AAAA ann@laptop" }
