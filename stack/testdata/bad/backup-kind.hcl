stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  service = "app"
  kind    = "sqllite"
  path    = "/data/production.sqlite3"
  folder "here" { path = "backups" }
}
