stack "shop" {}
provider "digitalocean" {}
registry "hub" {
  server   = "registry.example.com"
  password = "x"
  command  = ["pass", "hub"]
}
