stack "shop" {}
provider "digitalocean" {}
build "app" {
  context = "."
  push    = true
}
