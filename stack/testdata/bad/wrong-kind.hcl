stack "shop" {}
provider "digitalocean" {}
ssh_key "ann" { public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f" }
group "blue" { network = ssh_key.ann }
