stack "shop" {}
provider "digitalocean" {}
group "web_blue" {}
