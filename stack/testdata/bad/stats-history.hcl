stack "shop" {}

stats { history = "1m" }
