stack "My Shop" {}
