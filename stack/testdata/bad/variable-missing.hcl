stack "shop" {}
provider "digitalocean" {}
variable "token" {
  description = "who we are at the registry"
}
