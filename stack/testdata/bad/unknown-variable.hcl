stack "shop" {}
provider "digitalocean" {}
variable "region" { default = "ams3" }
group "web" {
  region = var.regoin
}
