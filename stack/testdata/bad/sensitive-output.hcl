stack "shop" {}
provider "digitalocean" {}
output "key" { value = sensitive("abc") }
