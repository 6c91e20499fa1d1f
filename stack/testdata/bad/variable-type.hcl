stack "shop" {}
provider "digitalocean" {}
variable "count" {
  type    = number
  default = "many"
}
