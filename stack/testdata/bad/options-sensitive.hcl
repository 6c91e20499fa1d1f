stack "shop" {}
provider "digitalocean" {}
group "a" {
  options {
    token = sensitive("abcdef")
  }
}
