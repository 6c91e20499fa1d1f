stack "shop" {}

log { max_age = "5m" }
