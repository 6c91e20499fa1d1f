stack "shop" {}
provider "digitalocean" {}
group "web" {
  region = vars.region
}
