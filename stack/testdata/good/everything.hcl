# Every block and every attribute, once.
stack "everything" {
  state = "s3://states/${stack.name}"
}

variable "tag" {
  type        = string
  default     = "v1"
  description = "what is released"
  validation {
    condition     = can(regex("^v[0-9]+$", var.tag))
    error_message = "a tag is v and a number"
  }
}

variable "secret" {
  default   = "hunter2"
  sensitive = true
}

locals {
  sizes = { small = { cpus = 1, memory = "512MB" }, large = { cpus = 4, memory = "8GB", disk = "80 GB" } }
}

provider "digitalocean" { region = "ams3" }
provider "far" { plugin = "digitalocean", region = "nyc3" }

ssh_key "ann" {
  provider   = "digitalocean"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann@laptop"
}

ssh_key "bob" {
  provider   = provider.far
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
}

network "main" {
  provider = "digitalocean"
  region   = "ams3"
  ip_range = cidrsubnet("10.0.0.0/8", 8, 10)
  options { description = "ours" }
}

external "mongodb" { url = "mongodb://app:${var.secret}@10.0.0.5/shop" }

registry "hub" {
  server   = "registry.example.com:5000"
  username = "ann"
  password = var.secret
}

registry "other" {
  server  = "other.example.com"
  command = ["pass", "show", "other"]
}

build "app" {
  git        = "https://git.example.com/app.git"
  ref        = "main"
  key        = var.secret
  context    = "web"
  dockerfile = "Dockerfile"
  target     = "run"
  args       = { RUBY = "3.3" }
  repository = "shop/app"
  tags       = ["{{timestamp}}", "latest"]
  registry   = registry.hub
  push       = true
}

template "web" {
  compose  = ["compose.yaml", "compose.prod.yaml"]
  profiles = ["web"]
  scale    = { ruby = 3 }
  inputs   = { TAG = var.tag, MONGODB_URL = external.mongodb.url, IMAGE = build.app.image }
}

group "blue" {
  provider = "digitalocean"
  servers  = 2
  size     = local.sizes.large
  image    = "ubuntu-24.04"
  region   = "ams3"
  template = template.web
  network  = network.main
  keys     = [ssh_key.ann, "bob"]
  docker   = "distribution"
  options { monitoring = true, tags = ["web"] }
}

group "green" {
  provider = group.blue.provider
  servers  = group.blue.servers
  size     = group.blue.size
  image    = group.blue.image
  region   = group.blue.region
  template = group.blue.template
  network  = group.blue.network
  keys     = group.blue.keys
}

group "alone" {
  provider = "far"
  size     = "s-1vcpu-512mb-10gb"
}

group "single" { template = "web", provider = "far" }

load_balancer "www" {
  groups         = [group.blue, group.green]
  network        = "main"
  redirect_http  = true
  proxy_protocol = true
  idle_timeout   = "2m"

  listener "http" { port = 80, target_port = 8080 }
  listener "https" {
    port            = 443
    protocol        = "http2"
    target_protocol = "http"
    target_port     = 8080
    certificate {
      chain       = "-----BEGIN CERTIFICATE-----"
      private_key = var.secret
    }
  }
  listener "named" { port = 8443, protocol = "https", certificate = "www-2026" }
  listener "through" { port = 9443, protocol = "https", tls_passthrough = true }
  listener "raw" { port = 5432, protocol = "tcp" }

  health_check {
    protocol  = "http"
    port      = 8081
    path      = "/healthz"
    interval  = 10
    timeout   = "5s"
    healthy   = 3
    unhealthy = 4
  }
  sticky { cookie = "SHIP", ttl = "1h" }
  switch {
    test  = [["./smoke.sh", var.tag], ["./load.sh"]]
    watch = "90s"
    probe { path = "/", expect = 200, contains = "shop", host = "shop.example.com", listener = "http", max_failed = 1, interval = "250ms", timeout = "2s" }
  }
  options { size_unit = 2 }
}

firewall "web" {
  groups = ["blue", "green"]
  inbound { ports = 22 }
  inbound { ports = 8080, load_balancers = [load_balancer.www] }
  inbound { protocol = "udp", ports = "8000-8010", groups = [group.alone], addresses = ["10.0.0.0/8"] }
  outbound { ports = "all" }
  outbound { protocol = "icmp" }
  options { description = "web" }
}

certificate "site" {
  group      = group.single
  domains    = ["www.shop.example", "shop.example"]
  email      = "me@shop.example"
  directory  = "https://acme-staging-v02.api.letsencrypt.org/directory"
  challenges = "/srv/proxy/acme/"
  path       = "/srv/proxy/certificates"
  service    = "proxy"
  hook       = "certificates"
  renew      = "30d"
  key        = "rsa-2048"
  http_port  = 8080
  https_port = 8443
}

output "address" {
  value       = "https://${load_balancer.www.ip}/"
  description = "where it answers"
}

output "servers" { value = { for s in group.blue.server : s.id => [s.public_ip, s.private_ip] } }

output "url" {
  value     = external.mongodb.url
  sensitive = true
}
