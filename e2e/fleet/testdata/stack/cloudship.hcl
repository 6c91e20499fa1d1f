# A fleet: one group of servers alone, behind a load balancer, with a key and a firewall.

stack "fleet" {}

variable "servers" { default = 1000 }

provider "digitalocean" { region = "fra1" }

ssh_key "ann" { public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBiT1dCbeyTzD3B4V0hWL1JpXhjTqhbBqzJ0Ak1nS2pY ann" }

firewall "web" {
  groups = ["fleet"]
  inbound {
    protocol  = "tcp"
    ports     = "80"
    addresses = ["0.0.0.0/0"]
  }
}

group "fleet" {
  provider = "digitalocean"
  servers  = var.servers
  size     = "s-1vcpu-1gb"
  image    = "debian-12"
}

load_balancer "www" {
  provider = "digitalocean"
  groups   = ["fleet"]
  listener "http" {
    port        = 8080
    target_port = 80
  }
  health_check { path = "/healthz" }
}
