stack "shop" {}
provider "digitalocean" {}
locals {
  a = local.b
  b = "${local.c}!"
  c = local.a
}
