stack "shop" {}

stats { every = "90m" }
