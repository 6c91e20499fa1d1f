stack "shop" {}
provider "digitalocean" {}
locals {
  a = file("../../etc/passwd")
  b = file("missing.txt")
}
