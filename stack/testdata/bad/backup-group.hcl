stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "alpha" { template = "web" }
group "beta" { template = "web" }
group "bare" {}
backup "database" {
  service = "app"
  folder "here" { path = "backups" }
}
backup "other" {
  service = "app"
  group   = group.bare
  folder "here" { path = "backups" }
}
