stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
certificate "site" {
  group      = "web"
  domains    = ["*.fantasyreality.example", "10.0.0.1", "Www.fantasyreality.example", "localhost", "a.example", "a.example"]
  email      = "mailto:me@example.com?x"
  directory  = "http://acme.example/directory"
  ca         = "pebble.pem"
  key        = "ecdsa-p224"
  challenges = "proxy/acme"
  path       = "/srv/../certificates"
  service    = "proxy"
}
