package stack_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cloudship/cloudship/stack"
)

func ExampleWants() {
	dir, err := os.MkdirTemp("", "stack")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := `stack "shop" {}
provider "digitalocean" {}
group "web" { servers = 2, size = { cpus = 1, memory = "1GB" } }
load_balancer "www" {
  groups = [group.web]
  listener "http" { port = 80 }
}
`
	if err := os.WriteFile(filepath.Join(dir, stack.File), []byte(file), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	s, diags := stack.Load(dir, stack.Options{})
	if diags.HasErrors() {
		_ = stack.Print(os.Stdout, diags, s.Sources(), false)
		return
	}
	wanted, err := stack.Wants(s, stack.Selection{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range wanted {
		fmt.Println(w.Address, w.Place)
	}
	// Output:
	// group.web.server[0] cloudship.hcl:3
	// group.web.server[1] cloudship.hcl:3
	// load_balancer.www cloudship.hcl:4
	// load_balancer.www.members cloudship.hcl:4
	// load_balancer.www.route cloudship.hcl:4
}
