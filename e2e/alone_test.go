//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// alone is a group that no balancer sends to: what it runs is renewed in place.
const alone = `
stack "alone" {}

variable "version" {}
variable "password" {
  sensitive = true
}

provider "digitalocean" {
  region = "fra1"
}

template "web" {
  compose = "compose.yaml"
  inputs  = { VERSION = var.version, PASSWORD = var.password }
}

group "shop" {
  provider = "digitalocean"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
  image    = "docker-20-04"
  template = "web"
}

output "address" {
  value = group.shop.server[0].public_ip
}
`

// once is a hook that leaves a line in a volume each time that it runs.
const once = `
      hooks:
        - name: migrate
          on: ["release:before"]
          where: one-off
          run: |
            echo "$$VERSION_OF_HOOK" >> /ran/log
          args: { VERSION_OF_HOOK: "${VERSION}" }
`

// TestAlone renews a group in place, under load, and wants what runs once per release to run once.
// What that leaves lies in the volume of a container that only holds data.
func TestAlone(t *testing.T) {
	t.Parallel()
	v := begin(t, "alone")
	if err := os.WriteFile(filepath.Join(v.Dir, "cloudship.hcl"), []byte(alone), 0o644); err != nil {
		t.Fatal(err)
	}
	v.edit("compose.yaml",
		"\n      hooks:\n", once,
		"    ports:\n      - \"80:80\"\n", "    ports:\n      - \"80:80\"\n    volumes_from: [data]\n",
		"\nconfigs:\n  upstream:", "\n  data:\n    build: proxy\n    command: [\"true\"]\n    volumes: [/ran]\n\nconfigs:\n  upstream:")
	v.data = []string{"--destroy-data", "data-ran"}
	ran := func() string {
		return strings.Join(strings.Fields(v.on("shop", "docker", "exec", "alone-proxy-1", "cat", "/ran/log")), " ")
	}
	v.ship(0, "apply", "-y", "--new-key", "--var", "version=v1")
	url := v.url()
	v.serves(url, "v1")
	v.settled("--var", "version=v1")
	unfailed := v.under(url)

	v.ship(0, "apply", "-y", "--var", "version=v2")
	v.serves(url, "v2")
	v.settled("--var", "version=v2")
	if have := ran(); have != "v1 v2" {
		t.Errorf("what runs once per release ran for %q, want v1 and v2", have)
	}

	before := ids(v.containers("shop"))
	v.says(v.ship(9, "apply", "-y", "--var", "version=broken"), "its health check fails", "broken listens on :8080")
	v.serves(url, "v2")
	if after := ids(v.containers("shop")); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("what ran before is not as it was: %v, then %v", before, after)
	}

	v.on("shop", "docker", "kill", "alone-app-2")
	v.says(v.ship(2, "plan", "--detailed-exitcode", "--var", "version=v2"), "2 of 3 containers of app run")
	v.ship(0, "apply", "-y", "--var", "version=v2")
	v.settled("--var", "version=v2")
	if have := ran(); have != "v1 v2 broken" {
		t.Errorf("what runs once per release ran for %q, want v1, v2 and broken", have)
	}
	unfailed()

	// The addresses of containers change when a server is started again.
	v.on("shop", "systemctl", "restart", "docker")
	v.eventually("the engine is back", func() bool { return v.Run(v.ctx, "ssh", "shop", "--", "docker", "ps").Code == 0 })
	v.ship(0, "apply", "-y", "--var", "version=v2")
	v.serves(url, "v2")
	v.settled("--var", "version=v2")

	// The container that holds the data has ended long since; what is in it is not destroyed unnamed.
	v.says(v.ship(3, "destroy", "-y"), "data-ran: volume alone_data-ran on group.shop.server[0]", "add --destroy-data data-ran")
	v.settled("--var", "version=v2")
	if have := ran(); have != "v1 v2 broken" {
		t.Errorf("the data that releases have left is %q, want that of v1, v2 and broken", have)
	}

	if found := v.on("shop", "sh", "-c", "grep -rl "+v.secret+" /var/lib/cloudship || true"); strings.TrimSpace(found) != "" {
		t.Errorf("the planted secret is unsealed in %s", found)
	}
}
