stack "shop" {}
group "blue" {}
