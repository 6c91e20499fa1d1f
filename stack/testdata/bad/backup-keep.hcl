stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  service = "app"
  keep { last = 0 }
  folder "here" { path = "backups" }
}
