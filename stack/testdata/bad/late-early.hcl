stack "shop" {}
provider "digitalocean" {}
group "a" {}
load_balancer "www" {
  groups = [group.a]
  listener "http" { port = 80 }
}
network "main" { ip_range = "${load_balancer.www.ip}/32" }
