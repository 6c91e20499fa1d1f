stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  service = "app"
  folder "there" { path = "backups" }
  ssh "there" {
    address  = "192.0.2.9"
    host_key = "ssh-ed25519 AAAA"
    path     = "backups"
  }
}
