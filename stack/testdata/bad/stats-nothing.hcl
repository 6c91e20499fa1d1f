stack "shop" {}

stats { history = 0 }
