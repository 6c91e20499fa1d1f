stack "shop" {}

log {
  ship "file" { path = "all.log" }
}
