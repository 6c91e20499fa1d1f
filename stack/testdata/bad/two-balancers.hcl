stack "shop" {}
provider "digitalocean" {}
group "a" {}
load_balancer "one" {
  groups = [group.a]
  listener "http" { port = 80 }
}
load_balancer "two" {
  groups = [group.a]
  listener "http" { port = 80 }
}
