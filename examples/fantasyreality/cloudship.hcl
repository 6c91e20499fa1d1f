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

# What containers print stays readable when an update has removed them: "cloudship logs --since 24h".
log {
  keep    = "100MB" # on the server
  max_age = "30d"
}

# The picks, copied while they are written to, sealed with the stack's key. "cloudship backup create" makes one; let cron on
# your own machine run it. On a new server, "cloudship apply --restore latest" puts the newest one in place.
backup "picks" {
  volume  = "data"
  path    = "fantasyreality.sqlite3"
  kind    = "sqlite"
  name    = "{{timestamp}}.sqlite3"
  check   = "SELECT count(*) FROM picks"
  max_age = "26h" # of the newest proven one; status and plan warn

  keep {
    last   = 24
    daily  = 14
    weekly = 8
  }

  folder "here" { path = "backups" }
  # ssh "other"   { address = "backup.example.com", user = "fantasy", host_key = "ssh-ed25519 AAAA...", path = "/srv/fantasy" }
  # bucket "far"  { bucket = "fantasyreality", endpoint = "https://fra1.digitaloceanspaces.com", region = "fra1" }
}

output "address" {
  value = group.web.server[0].public_ip
}
