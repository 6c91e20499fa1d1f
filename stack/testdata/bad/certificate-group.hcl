stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "blue" { template = "web" }
group "many" { template = "web", servers = 2 }
group "bare" {}
load_balancer "www" {
  groups = [group.blue]
  listener "http" { port = 80 }
}
certificate "blue" { group = "blue", domains = ["a.example"], challenges = "/srv/acme", path = "/srv/certificates", service = "proxy" }
certificate "many" { group = group.many, domains = ["a.example"], challenges = "/srv/acme", path = "/srv/acme/certificates", service = "proxy" }
certificate "bare" { group = "bare", domains = ["a.example"], challenges = "/srv/acme", path = "/srv/acme", service = "proxy" }
