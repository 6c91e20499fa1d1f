stack "shop" {}
provider "digitalocean" {}
group "web" {}
group "web" {}
