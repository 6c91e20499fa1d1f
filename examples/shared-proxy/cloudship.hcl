# A server with a proxy that several stacks share: it owns ports 80 and 443, and knows no site but its own. Each other
# stack adds its own: see examples/second-site and docs/hosts.md.

stack "edge" {}

variable "public_key" {
  description = "who may log in, and so add a stack to the server: ssh-ed25519 AAAA..."
}

provider "digitalocean" {
  region = "fra1"
}

ssh_key "ann" {
  public_key = var.public_key
}

template "proxy" {
  compose = "compose.yaml"
}

group "web" {
  provider = "digitalocean"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
  image    = "debian-12"
  template = "proxy"
}

output "address" {
  value = group.web.server[0].public_ip
}
