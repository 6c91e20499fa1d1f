stack "shop" {}
provider "digitalocean" {}
group "a" {}
load_balancer "www" {
  groups = [group.a]
  listener "http" {
    port     = 80
    protocol = "htp"
  }
}
