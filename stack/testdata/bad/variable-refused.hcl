stack "shop" {}
provider "digitalocean" {}
variable "count" {
  type    = number
  default = 7
  validation {
    condition     = var.count < 5
    error_message = "at most four, the rack is small"
  }
}
