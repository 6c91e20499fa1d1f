stack "shop" {}
provider "digitalocean" {}
group "web" {}
load_balancer "www" {
  groups = [group.web]
  listener "http" { port = 80 }
  health_check = { path = "/" }
}
