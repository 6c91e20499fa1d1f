stack "shop" {}
provider "digitalocean" {}
template "web" {
  compose = "compose.yaml"
  scale   = { ruby = "many" }
}
