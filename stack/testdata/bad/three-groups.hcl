stack "shop" {}
provider "digitalocean" {}
group "a" {}
group "b" {}
group "c" {}
load_balancer "www" {
  groups = [group.a, group.b, group.c]
  listener "http" { port = 80 }
}
