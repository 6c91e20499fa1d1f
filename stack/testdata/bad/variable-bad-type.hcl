stack "shop" {}
provider "digitalocean" {}
variable "count" {
  type = numbr
}
