stack "shop" {}
provider "digitalocean" {}
group "a" {}
load_balancer "www" {
  groups = [group.a]
  listener "http" { port = 80, taget_port = 80 }
  switch { watch = "1m", test = [["./smoke.sh", var.nothing]] }
}
