stack "shop" {}

log { keep = "1MB" }
