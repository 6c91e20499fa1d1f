stack "shop" {}
provider "digitalocean" {}
template "web" {
  compose = "compose.yaml"
  inputs = {
    HOSTS = ["a", "b"]
  }
}
