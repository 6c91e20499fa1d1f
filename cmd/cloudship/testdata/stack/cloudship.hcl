# Two groups of two servers behind a load balancer: the stack of the scripts that do not bring one.

stack "shop" {}

variable "tag" { default = "1" }
variable "fails" { default = "" }
variable "password" {
  default   = "planted-secret-in-the-stack-file"
  sensitive = true
}

provider "digitalocean" { region = "fra1" }

template "web" {
  compose = "compose.yaml"
  inputs  = { TAG = var.tag, FAILS = var.fails, PASSWORD = var.password }
}

ssh_key "ann" { public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBiT1dCbeyTzD3B4V0hWL1JpXhjTqhbBqzJ0Ak1nS2pY ann" }

firewall "web" {
  groups = ["blue", "green"]
  inbound {
    protocol  = "tcp"
    ports     = "80"
    addresses = ["0.0.0.0/0"]
  }
}

group "blue" {
  provider = "digitalocean"
  servers  = 2
  size     = "s-1vcpu-1gb"
  image    = "debian-12"
  template = "web"
}

group "green" {
  provider = "digitalocean"
  servers  = 2
  size     = "s-1vcpu-1gb"
  image    = "debian-12"
  template = "web"
}

load_balancer "www" {
  provider = "digitalocean"
  groups   = ["blue", "green"]
  listener "http" {
    port        = 8080
    target_port = 80
  }
  health_check { path = "/healthz" }
  switch {
    test  = [["sh", "smoke.sh"]]
    watch = "1s"
    probe { path = "/" }
  }
}

output "address" { value = load_balancer.www.ip }
