stack "shop" {}
provider "digitalocean" {}
group "a" {}
firewall "web" {
  groups = [group.a]
  inbound {
    ports     = 22
    addresses = ["192.0.2.7"]
  }
}
