# Everything that can be made, at its smallest: what is killed must be found again, whatever it is.

stack "shop" {}

variable "tag" { default = "1" }
variable "port" { default = "80" }
variable "idle" { default = 60 }

provider "digitalocean" { region = "fra1" }

template "web" {
  compose = "compose.yaml"
  inputs  = { TAG = var.tag }
}

ssh_key "ann" { public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBiT1dCbeyTzD3B4V0hWL1JpXhjTqhbBqzJ0Ak1nS2pY ann" }

network "inside" {}

firewall "web" {
  groups = ["blue", "green"]
  inbound {
    protocol  = "tcp"
    ports     = var.port
    addresses = ["0.0.0.0/0"]
  }
}

group "blue" {
  provider = "digitalocean"
  servers  = 2
  size     = "s-1vcpu-1gb"
  image    = "debian-12"
  network  = "inside"
  template = "web"
}

group "green" {
  provider = "digitalocean"
  servers  = 2
  size     = "s-1vcpu-1gb"
  image    = "debian-12"
  network  = "inside"
  template = "web"
}

load_balancer "www" {
  provider     = "digitalocean"
  groups       = ["blue", "green"]
  network      = "inside"
  idle_timeout = "${var.idle}s"
  listener "http" {
    port        = 8080
    target_port = 80
  }
  health_check {
    path     = "/healthz"
    interval = "3s"
    timeout  = "3s"
    healthy  = 2
  }
  switch {
    watch = "0s"
    probe { path = "/" }
  }
}

output "address" { value = load_balancer.www.ip }
