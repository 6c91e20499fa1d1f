stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "files" {
  service = "app"
  kind    = "files"
  path    = "uploads"
  folder "here" { path = "backups" }
}
backup "up" {
  volume = "data"
  kind   = "files"
  path   = "a/../../b"
  folder "here" { path = "backups" }
}
backup "dump" {
  service = "db"
  kind    = "postgresql"
  path    = "/data"
  stage   = true
  folder "here" { path = "backups" }
}
backup "command" {
  service  = "db"
  database = "shop"
  folder "here" { path = "backups" }
}
backup "which" {
  volume = "data"
  kind   = "sqlite"
  folder "here" { path = "backups" }
}
