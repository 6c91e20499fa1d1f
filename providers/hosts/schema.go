package hosts

import (
	"cmp"
	"context"
	"encoding/json"
	"runtime/debug"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// The types of settings, in cty's JSON form.
var (
	text  = json.RawMessage(`"string"`)
	texts = json.RawMessage(`["list","string"]`)
	named = json.RawMessage(`["map",["object",{"address":"string","host_key":"string","user":"string","jump":"string"},["user","jump"]]]`)
)

// Schema describes the provider.
func (p *Provider) Schema(context.Context) (resource.Schema, error) {
	return resource.Schema{
		Name:    "hosts",
		Version: version(),
		Config: []resource.Attribute{
			{Name: "hosts", Type: named, Required: true, Help: `the machines: { NAME = { address = "203.0.113.7", host_key = "ssh-ed25519 AAAA..." } }`},
			{Name: "user", Type: text, Help: "who logs in where a machine does not say: root (default), or one who may sudo without a password"},
			{Name: "identity", Type: text, Help: `the private key to log in with: "~/.ssh/id_ed25519"; the SSH agent's keys when not said`},
		},
		Options: map[resource.Kind][]resource.Attribute{
			resource.KindServer: {
				{Name: "hosts", Type: texts, Help: "the names of the group's machines, in the order of its servers; may be left out where there is one"},
			},
		},
		Kinds:       []resource.Kind{resource.KindServer},
		Existing:    true,
		Credentials: []string{remote.LoginVariable, remote.AgentVariable},
	}, nil
}

// version is that of the program that the provider is built into.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(info.Main.Version, "devel")
	}
	return "devel"
}
