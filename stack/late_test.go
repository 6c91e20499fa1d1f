package stack

import (
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
)

const withLate = `stack "shop" {}
provider "cloud" {}
variable "key" {
  default   = "hunter2"
  sensitive = true
}
locals {
  www = "http://${load_balancer.www.ip}"
}
build "app" { context = "." }
template "web" {
  compose = "compose.yaml"
  inputs = {
    URL   = "${local.www}:80/?key=${var.key}"
    PEERS = join(",", group.web.server[*].private_ip)
    IMAGE = build.app.image
    N     = group.web.servers
  }
}
group "web" {
  servers  = 2
  size     = "small"
  template = "web"
}
load_balancer "www" {
  groups = [group.web]
  listener "http" { port = 80 }
}
output "url" { value = local.www }
output "first" { value = group.web.server[0].public_ip }
`

func TestLateFactsStayReferencesUntilFound(t *testing.T) {
	s := read(t, withLate, Options{})
	inputs, diags := s.Inputs("web", Facts{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for name, want := range map[string]string{
		"URL":   "http://{{ load_balancer.www | ip }}:80/?key=hunter2",
		"PEERS": "{{ group.web.server[0] | private_ip }},{{ group.web.server[1] | private_ip }}",
		"IMAGE": "{{ build.app | image }}",
		"N":     "2",
	} {
		if inputs[name].Text != want {
			t.Errorf("%s is %q, want %q", name, inputs[name].Text, want)
		}
	}
	if !inputs["URL"].Sensitive || len(inputs["URL"].Late) != 1 || inputs["URL"].Late[0].String() != "load_balancer.www.ip" {
		t.Errorf("URL is %#v resting on %v", inputs["URL"], inputs["URL"].Late)
	}
	if inputs["N"].Late != nil || len(inputs["PEERS"].Late) != 2 {
		t.Errorf("N rests on %v, PEERS on %v", inputs["N"].Late, inputs["PEERS"].Late)
	}
	outputs, diags := s.Outputs(Facts{})
	if diags.HasErrors() || len(outputs) != 2 || outputs[0].Value != nil || outputs[0].Late[0].String() != "load_balancer.www.ip" {
		t.Errorf("outputs %+v %v", outputs, diags)
	}
}

func TestLateFactsAreFilledIn(t *testing.T) {
	s := read(t, withLate, Options{})
	facts := Facts{Images: map[string]string{"app": "app@sha256:1"}, Found: map[resource.Address]resource.Found{
		resource.LoadBalancer("www"): {Facts: resource.Facts{PublicIP: "192.0.2.1"}},
		resource.Server("web", 0):    {Facts: resource.Facts{PublicIP: "192.0.2.2", PrivateIP: "10.0.0.2"}},
	}}
	inputs, diags := s.Inputs("web", facts)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got := inputs["URL"]; got.Text != "http://192.0.2.1:80/?key=hunter2" || got.Late != nil {
		t.Errorf("URL is %q", got.Text)
	}
	if got := inputs["PEERS"]; got.Text != "10.0.0.2,{{ group.web.server[1] | private_ip }}" || len(got.Late) != 1 {
		t.Errorf("PEERS is %q", got.Text)
	}
	if got := inputs["IMAGE"].Text; got != "app@sha256:1" {
		t.Errorf("IMAGE is %q", got)
	}
	outputs, diags := s.Outputs(facts)
	if diags.HasErrors() || string(outputs[0].Value) != `"http://192.0.2.1"` || string(outputs[1].Value) != `"192.0.2.2"` {
		t.Errorf("outputs %+v %v", outputs, diags)
	}
}

func TestReleasesNeedWhatTheirInputsRestOn(t *testing.T) {
	s := read(t, withLate, Options{})
	wanted, err := Wants(s, Selection{Releases: map[string]string{"web": "r1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wanted {
		if w.Address != resource.ReleaseOn("web", 1) {
			continue
		}
		var needs []string
		for _, a := range w.Needs {
			needs = append(needs, a.String())
		}
		if got := strings.Join(needs, " "); got != "group.web.docker[1] group.web.server[0] group.web.server[1] load_balancer.www" {
			t.Errorf("it needs %s", got)
		}
		return
	}
	t.Error("no release is wanted")
}

func TestDriverErrorsFindTheirLine(t *testing.T) {
	s := read(t, withLate, Options{})
	d := s.Explain(&resource.Error{Kind: resource.Invalid, Op: "resolve size", Address: resource.Server("web", 1), Field: "size", Message: `there is no size "small"`, Hint: "did you mean s-1vcpu-1gb?"})
	if d == nil {
		t.Fatal("no line")
	}
	var b strings.Builder
	_ = Print(&b, hcl.Diagnostics{d}, s.Sources(), false)
	want := "cloudship.hcl:22,14: error: resolve size: there is no size \"small\"\n    22 |   size     = \"small\"\n       |              ^^^^^^^\n    hint: did you mean s-1vcpu-1gb?\n"
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
	if s.Explain(&resource.Error{Kind: resource.Failed}) != nil {
		t.Error("an error about nothing has a line")
	}
}
