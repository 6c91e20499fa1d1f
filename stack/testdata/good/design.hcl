stack "proleads" {}

variable "tag"         { default = "latest" }
variable "mongodb_url" { sensitive = true }

provider "rackspace" { region = "IAD" }        # RACKSPACE_USERNAME, RACKSPACE_API_KEY

template "web" {
  compose = "compose.yaml"
  inputs  = { TAG = var.tag, MONGODB_URL = var.mongodb_url }
}

group "blue" {
  provider = "rackspace"
  servers  = 1
  size     = { cpus = 2, memory = "4GB" }      # or the provider's own name: "general1-4"
  image    = "debian-12"
  template = "web"
}

group "green" {
  provider = "rackspace"
  servers  = 1
  size     = { cpus = 2, memory = "4GB" }
  image    = "debian-12"
  template = "web"
}

load_balancer "www" {
  provider = "rackspace"
  groups   = ["blue", "green"]                 # the first is live until a switch says otherwise
  listener "http" { port = 80, target_port = 80 }
  health_check { path = "/healthz" }
  switch {
    test  = [["./smoke.sh"]]                   # gets CLOUDSHIP_TEST_URL, a forwarded port of the idle group
    watch = "2m"
    probe { path = "/", expect = 200, max_failed = 0 }
  }
}
