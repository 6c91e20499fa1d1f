stack "shop" {}
provider "digitalocean" {}
variable "where" {
  default   = "ams3"
  sensitive = true
}
group "a" {
  region = "x-${upper(var.where)}"
}
