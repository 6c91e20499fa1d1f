package stack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

const withOptions = `stack "shop" {}
provider "cloud" {
  region = "ams3"
%PROVIDER
}
group "web" {
  size = "small"
  options {
%OPTIONS
  }
}
`

func TestAProvidersSchemaIsHeld(t *testing.T) {
	schema := resource.Schema{
		Name: "cloud", Kinds: []resource.Kind{resource.KindServer},
		Config: []resource.Attribute{{Name: "region", Type: json.RawMessage(`"string"`)}, {Name: "endpoint", Type: json.RawMessage(`"string"`)},
			{Name: "hosts", Type: json.RawMessage(`["map",["object",{"address":"string","key":"string","user":"string"},["user"]]]`)}},
		Options: map[resource.Kind][]resource.Attribute{resource.KindServer: {{Name: "backups", Type: json.RawMessage(`"bool"`)}, {Name: "tags", Type: json.RawMessage(`["list","string"]`)}, {Name: "weight", Type: json.RawMessage(`"number"`)}}},
	}
	for _, c := range []struct{ provider, options, want string }{
		{"", `backups = true`, ""},
		{"", `tags = ["a", "b"]`, ""},
		{"", `weight = 3`, ""},
		{`endpoint = "https://x"`, "", ""},
		{`plugin = "cloud"`, "", ""},
		{`hosts = { a = { address = "x", key = "k" }, b = { address = "y", key = "k", user = "u" } }`, "", ""},
		{`hosts = { a = { address = "x" } }`, "", "want names with values, each an object with address and key"},
		{`hosts = { a = { address = "x", key = "k", usr = "u" } }`, "", "hosts is not what provider cloud takes"},
		{`endpiont = "https://x"`, "", `cloudship.hcl:4,1: error: provider cloud knows no "endpiont"`},
		{`endpoint = 4`, "", `cloudship.hcl:4,12: error: endpoint is not what provider cloud takes`},
		{"", `bakcups = true`, `did you mean "backups"?`},
		{"", `backups = "yes"`, `cloudship.hcl:9,11: error: backups is not what provider cloud takes`},
		{"", `weight = "3"`, `want a number`},
		{"", `tags = [1]`, `want a list, each a text in quotes`},
	} {
		s := read(t, strings.NewReplacer("%PROVIDER", c.provider, "%OPTIONS", c.options).Replace(withOptions), Options{})
		diags := s.CheckProvider("cloud", schema)
		var b strings.Builder
		_ = Print(&b, diags, s.Sources(), false)
		if c.want == "" && len(diags) > 0 || !strings.Contains(b.String(), c.want) {
			t.Errorf("%s %s: %q, want %q", c.provider, c.options, b.String(), c.want)
		}
	}
	s := read(t, strings.NewReplacer("%PROVIDER", "", "%OPTIONS", "").Replace(withOptions), Options{})
	schema.Kinds = []resource.Kind{resource.KindLoadBalancer}
	if diags := s.CheckProvider("cloud", schema); len(diags) != 1 || !strings.Contains(diags[0].Summary, "has no server") {
		t.Errorf("a kind that is not served: %v", diags)
	}
}
