stack "shop" {}
provider "digitalocean" {}
group "a" {}
firewall "web" {
  groups = [group.a]
  inbound { ports = "80,443" }
}
