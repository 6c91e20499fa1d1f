stack "shop" {}
stack "shop-too" {}
