stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  folder "here" { path = "backups" }
}
backup "both" {
  service = "app"
  volume  = "data"
  kind    = "files"
  path    = "/data"
  folder "here" { path = "backups" }
}
backup "dump" {
  volume = "data"
  kind   = "postgresql"
  folder "here" { path = "backups" }
}
