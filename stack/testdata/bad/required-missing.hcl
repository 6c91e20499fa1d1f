stack "shop" {}
provider "digitalocean" {}
template "web" {}
