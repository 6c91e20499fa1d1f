package stack

import (
	"os"
	"path/filepath"
	"testing"
)

// What one load was given, the next one has from it, types and secrets included.
func TestValuesOfVariablesAreRestored(t *testing.T) {
	dir := t.TempDir()
	file := `
stack "shop" {}
variable "name" { default = "a" }
variable "count" { type = number }
variable "list" { type = list(string) }
variable "token" { sensitive = true }
output "all" {
  sensitive = true
  value     = "${var.name} ${var.count + 1} ${join("-", var.list)} ${var.token}"
}
`
	if err := os.WriteFile(filepath.Join(dir, File), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	first, diags := Load(dir, Options{Vars: map[string]string{"count": "41", "list": `["x", "y"]`, "token": "hidden-value"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	values, err := first.Values()
	if err != nil {
		t.Fatal(err)
	}
	again, diags := Load(dir, Options{Values: values})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	outputs, diags := again.Outputs(Facts{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got := string(outputs[0].Value); got != `"a 42 x-y hidden-value"` {
		t.Errorf("got %s", got)
	}
	if secrets := again.Secrets(); len(secrets) == 0 || secrets[len(secrets)-1] != "hidden-value" && secrets[0] != "hidden-value" {
		t.Errorf("secrets are %q", secrets)
	}
}

func TestWhoOnlyLooksNeedsNoVariables(t *testing.T) {
	dir := t.TempDir()
	file := `
stack "shop" {}
variable "text" {}
variable "count" {
  type = number
  validation {
    condition     = var.count > 5
    error_message = "more than five"
  }
}
variable "list" { type = list(string) }
provider "digitalocean" { region = var.text }
group "blue" {
  provider = "digitalocean"
  servers  = var.count
  size     = "small-${var.text}"
  image    = "debian-12"
}
`
	if err := os.WriteFile(filepath.Join(dir, File), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, diags := Load(dir, Options{}); !diags.HasErrors() {
		t.Error("variables without values are no error")
	}
	s, diags := Load(dir, Options{Looking: true})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if s.Group("blue") == nil {
		t.Error("the group is not known")
	}
}
