stack "shop" {}
provider "digitalocean" {}
group "blue" { servers = group.green.servers }
group "green" { servers = group.blue.servers }
