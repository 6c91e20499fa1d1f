# A site on a server that exists already, behind the proxy of another stack there (examples/shared-proxy). Both lines of
# the machine come from that stack: cloudship ssh web --host-key

stack "shop" {}

variable "address" {
  description = "the machine's address: 203.0.113.7"
}

variable "host_key" {
  description = "its own host key: ssh-ed25519 AAAA..."
}

variable "host" {
  description = "the site's name"
  default     = "shop.example.com"
}

variable "version" {
  default = "v1"
}

provider "hosts" {
  hosts = {
    edge = { address = var.address, host_key = var.host_key }
  }
}

template "site" {
  compose = "compose.yaml"
  inputs  = { HOST = var.host, VERSION = var.version }
}

group "web" {
  provider = "hosts"
  servers  = 1
  template = "site"
}
