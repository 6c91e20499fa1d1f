stack "shop" {
