stack "shop" {}
provider "digitalocean" {}
group "blue" { provider = "digitalocan" }
