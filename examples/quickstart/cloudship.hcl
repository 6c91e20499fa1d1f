# Two groups of one server behind DigitalOcean's load balancer. One is live, the other gets the
# next release, is tested, and becomes live by a switch.

stack "quickstart" {}

variable "version" {
  description = "what the application says it is"
  default     = "v1"
}

provider "digitalocean" {
  region = "fra1"
}

template "web" {
  compose = "compose.yaml"
  inputs  = { VERSION = var.version }
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
  groups   = ["blue", "green"] # the first is live until a switch says otherwise

  listener "http" {
    port        = 80
    target_port = 80
  }

  health_check {
    path      = "/healthz"
    interval  = "3s"
    timeout   = "3s"
    healthy   = 2
    unhealthy = 2
  }

  switch {
    test  = [["sh", "smoke.sh"]]
    watch = "10s"
    probe {
      path   = "/"
      expect = 200
    }
  }
}

output "address" {
  value = load_balancer.www.ip
}
