# ProLeads on paper: two groups of one server, a load balancer that points at one of them.

stack "proleads" {}

variable "tag" { default = "1" }

provider "digitalocean" { region = "fra1" }

external "redis" { url = "redis://cache.example.com:6379" }

template "web" {
  compose = "compose.yaml"
  inputs  = { TAG = var.tag }
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
    test  = [["sh", "smoke.sh"]]
    watch = "1s"
    probe { path = "/" }
  }
}

output "address" { value = load_balancer.www.ip }
