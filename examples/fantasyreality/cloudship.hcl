# Fantasy Reality: a season's site on DigitalOcean's smallest droplet, no load balancer. Updates are made in place: the
# proxy goes from the old container to the new one.

stack "fantasyreality" {}

variable "host" {
  description = "the site's name; the proxy answers to no other"
  default     = "fantasyreality.example.com"
}

provider "digitalocean" {
  region = "fra1"
}

template "site" {
  compose = "compose.yaml"
  inputs  = { HOST = var.host }
}

group "web" {
  servers  = 1
  size     = "s-1vcpu-512mb-10gb"
  image    = "debian-12"
  template = "site"
}

output "address" {
  value = group.web.server[0].public_ip
}
