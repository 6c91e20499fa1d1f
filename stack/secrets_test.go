package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSecretsAreKnownWithWhatIsMadeOfThem(t *testing.T) {
	s := read(t, `stack "shop" {}
provider "cloud" {}
variable "password" { sensitive = true }
locals {
  url = "redis://:${base64encode(var.password)}@10.0.0.5"
}
external "redis" { url = local.url }
registry "hub" {
  server   = "registry.example.com"
  username = "ann"
  password = var.password
}
template "web" {
  compose = "compose.yaml"
  inputs  = merge({ PLAIN = "x" }, { URL = local.url, UPPER = upper(var.password) })
}
output "url" {
  value     = [local.url]
  sensitive = true
}
`, Options{Vars: map[string]string{"password": "hunter2"}})
	for _, want := range []string{"hunter2", "HUNTER2", "aHVudGVyMg==", "redis://:aHVudGVyMg==@10.0.0.5"} {
		if !slices.Contains(s.Secrets(), want) {
			t.Errorf("%q is not among the secrets %q", want, s.Secrets())
		}
	}
	if slices.Contains(s.Secrets(), "x") {
		t.Errorf("what is plain is among the secrets %q", s.Secrets())
	}
	inputs, diags := s.Inputs("web", Facts{})
	if diags.HasErrors() || inputs["PLAIN"].Sensitive || !inputs["URL"].Sensitive || !inputs["UPPER"].Sensitive {
		t.Errorf("inputs %#v %v", inputs, diags)
	}
	outputs, diags := s.Outputs(Facts{})
	if diags.HasErrors() || len(outputs) != 1 || !outputs[0].Sensitive || string(outputs[0].Value) != `["redis://:aHVudGVyMg==@10.0.0.5"]` {
		t.Errorf("outputs %+v %v", outputs, diags)
	}
	r := s.Registry("hub")
	if said := fmt.Sprintf("%v %+v %#v", r.Password, *r, r.Password); strings.Contains(said, "hunter2") {
		t.Errorf("a registry says its password: %s", said)
	}
}

func TestNoErrorHoldsASecret(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key.json"), []byte(`{"hunter2"`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		`locals { a = tonumber(var.s) }`,
		`locals { a = file(var.s) }`,
		`locals { a = tonumber("x-${var.s}") }`,
		`locals { a = { b = 1 }[var.s] }`,
		`locals { a = [for x in [var.s] : tonumber(x)] }`,
		`locals { a = jsondecode(secret_file("key.json")) }`,
		`locals { a = cidrsubnet(var.s, 8, 1) }`,
		`group "a" { size = { cpus = 1, memory = var.s } }`,
		`group "a" { template = var.s }`,
		`group "a" { servers = var.s }`,
		`external "x" { url = var.s }`,
		`load_balancer "x" { groups = [var.s] }`,
		`output "x" { value = var.s }`,
		`ssh_key "x" { public_key = var.s }`,
		`network "x" { ip_range = var.s }`,
		`build "x" { tags = [var.s] }`,
	} {
		src := "stack \"shop\" {}\nprovider \"cloud\" {}\nvariable \"s\" { sensitive = true }\n" + bad + "\n"
		s, diags := load(dir, []byte(src), Options{Environ: []string{"CLOUDSHIP_VAR_s=hunter2"}})
		if !diags.HasErrors() {
			t.Errorf("%s is accepted", bad)
		}
		if said := printed(t, s, diags); strings.Contains(said, "hunter2") {
			t.Errorf("%s is answered with\n%s", bad, said)
		}
	}
}

func TestTheValueOfASecretFileIsSensitive(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "db.key"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	src := "stack \"shop\" {}\nprovider \"cloud\" {}\ntemplate \"web\" {\n  compose = \"c.yaml\"\n  inputs = { KEY = secret_file(\"db.key\") }\n}\n"
	s, diags := load(dir, []byte(src), Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	inputs, _ := s.Inputs("web", Facts{})
	if !inputs["KEY"].Sensitive || inputs["KEY"].Text != "hunter2" || !slices.Contains(s.Secrets(), "hunter2") {
		t.Errorf("%#v, secrets %q", inputs, s.Secrets())
	}
}

func TestVarFilesAreVeiledInErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prod.hcl")
	if err := os.WriteFile(path, []byte("tag = \"v1\"\npassword = \"hun\\\"ter2\" oops\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, diags := load(dir, []byte("stack \"shop\" {}\nvariable \"tag\" {}\nvariable \"password\" { sensitive = true }\n"), Options{VarFiles: []string{path}})
	said := printed(t, s, diags)
	if !strings.Contains(said, "prod.hcl:2,") || strings.Contains(said, "ter2") {
		t.Errorf("said\n%s", said)
	}
}
