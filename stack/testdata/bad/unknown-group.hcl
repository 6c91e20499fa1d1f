stack "shop" {}
provider "digitalocean" {}
group "blue" {}
load_balancer "www" {
  groups = ["bleu"]
  listener "http" { port = 80 }
}
