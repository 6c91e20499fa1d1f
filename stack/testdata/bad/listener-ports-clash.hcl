stack "shop" {}
provider "digitalocean" {}
group "a" {}
load_balancer "www" {
  groups = [group.a]
  listener "one" { port = 80 }
  listener "two" { port = 80 }
}
