stack "shop" {}
provider "digitalocean" {}
provider "rackspace" {}
group "blue" {}
