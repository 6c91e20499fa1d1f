stack "shop" {}
provider "digitalocean" {}
provider "rackspace" {}
group "a" { provider = "rackspace" }
load_balancer "www" {
  provider = "digitalocean"
  groups   = [group.a]
  listener "http" { port = 80 }
}
