stack "shop" {}
provider "digitalocean" {}
group "a-very-long-name-that-nobody-would-want-to-type" {}
