# A season on paper: two groups of one server, and a stack whose whole technology is a variable.

stack "season" {}

variable "technology" { default = "ruby" }

provider "digitalocean" { region = "fra1" }

template "web" {
  compose = "${var.technology}.yaml"
}

group "blue" {
  provider = "digitalocean"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
  image    = "debian-12"
  template = "web"
}

group "green" {
  provider = "digitalocean"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
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
  health_check {
    path     = "/healthz"
    interval = "3s"
    timeout  = "3s"
  }
  switch {
    watch = "1s"
    probe { path = "/" }
  }
}

output "address" { value = load_balancer.www.ip }
