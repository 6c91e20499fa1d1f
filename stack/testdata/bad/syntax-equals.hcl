stack "shop" {}
group "web" {
  servers 2
}
