# ProLeads: a Ruby cluster behind Nginx on two servers, a load balancer that points at one of them.
# Replace "rackspace" by "digitalocean" (and the region) and the same file runs there.

stack "proleads" {}

variable "mongodb_url" {
  description = "where MongoDB is; an existing service"
  sensitive   = true
}

variable "redis_url" {
  description = "where Redis is; an existing service"
  sensitive   = true
}

variable "registry" {
  description = "host of the private registry"
  default     = "registry.example.com"
}

variable "registry_user" { default = "proleads" }

variable "registry_password" {
  sensitive = true
  default   = ""
}

variable "source" {
  description = "the application's git repository; may be private (build.key)"
  default     = "https://git.example.com/proleads/app.git"
}

variable "ref" { default = "main" }

provider "rackspace" { region = "IAD" }

registry "private" {
  server   = var.registry
  username = var.registry_user
  password = var.registry_password
}

build "ruby" {
  git        = var.source
  ref        = var.ref
  repository = "proleads/ruby"
  tags       = ["{{timestamp}}", "latest"]
  registry   = "private"
  push       = true
}

external "mongodb" { url = var.mongodb_url }

external "redis" { url = var.redis_url }

template "web" {
  compose = "compose.yaml"
  inputs = {
    IMAGE       = build.ruby.image
    MONGODB_URL = var.mongodb_url
    REDIS_URL   = var.redis_url
  }
}

group "blue" {
  provider = "rackspace"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
  image    = "debian-12"
  template = "web"
}

group "green" {
  provider = "rackspace"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
  image    = "debian-12"
  template = "web"
}

load_balancer "www" {
  provider = "rackspace"
  groups   = ["blue", "green"]

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
    test  = [["sh", "smoke.sh"], ["sh", "loadtest.sh"]]
    watch = "8s"
    probe {
      path   = "/"
      expect = 200
    }
  }
}

output "address" { value = load_balancer.www.ip }
