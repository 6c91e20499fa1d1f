stack "shop" {}
provider "digitalocean" {}
group "a" {}
load_balancer "www" {
  groups = [group.a]
  listener "http" { port = 80 }
}
template "web" {
  compose = "compose.yaml"
  inputs = {
    GOOD = "http://${load_balancer.www.ip}/"
    BAD  = substr(load_balancer.www.ip, 0, 3)
  }
}
