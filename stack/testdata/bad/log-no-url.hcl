stack "shop" {}

log {
  ship "http" {}
}
