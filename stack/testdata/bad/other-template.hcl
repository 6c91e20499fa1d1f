stack "shop" {}
provider "digitalocean" {}
template "x" { compose = "x.yaml" }
template "y" { compose = "y.yaml" }
group "a" { template = "x" }
group "b" { template = "y" }
load_balancer "www" {
  groups   = [group.a, group.b]
  listener "http" { port = 80 }
}
