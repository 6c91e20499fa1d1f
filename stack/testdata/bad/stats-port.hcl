stack "shop" {}

stats { prometheus = 70000 }
