stack "shop" {}
provider "digitalocean" {}
group "web" "blue" {}
