stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  service = "app"
  kind    = "sqlite"
  path    = "/data/production.sqlite3"
}
