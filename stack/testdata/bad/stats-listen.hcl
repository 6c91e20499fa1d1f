stack "shop" {}

stats { prometheus = 9100, listen = "everywhere" }
