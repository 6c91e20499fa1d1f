stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  service = "app"
  max_aeg = "26h"
  bukcet "s3" { bucket = "shop" }
}
