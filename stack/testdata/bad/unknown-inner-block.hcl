stack "shop" {}
provider "digitalocean" {}
group "web" {}
load_balancer "www" {
  groups = [group.web]
  listner "http" {
    port = 80
  }
}
