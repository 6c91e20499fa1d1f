stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "a" { template = "web" }
firewall "web" {
  groups = [group.a]
  inbound { ports = 80 }
}
