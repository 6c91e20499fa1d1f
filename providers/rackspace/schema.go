package rackspace

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"runtime/debug"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// lagVariable overrides how long lists may lag.
const lagVariable = "RACKSPACE_LIST_LAG"

// listLag is how long lists may lag behind a create unless it is said. Nova answers some creates
// with an error and builds the server all the same; it is listed well within this.
const listLag = 30 * time.Second

func lag() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(lagVariable)); err == nil && d >= 0 {
		return d
	}
	return listLag
}

// Schema describes the provider.
func (p *Provider) Schema(context.Context) (resource.Schema, error) {
	text, number := json.RawMessage(`"string"`), json.RawMessage(`"number"`)
	return resource.Schema{
		Name:    "rackspace",
		Version: version(),
		Config: []resource.Attribute{
			{Name: "region", Type: text, Help: "where everything is made: \"IAD\"; RACKSPACE_REGION unless it is said"},
		},
		Options: map[resource.Kind][]resource.Attribute{
			resource.KindLoadBalancer: {
				{Name: "algorithm", Type: text, Help: "LEAST_CONNECTIONS, RANDOM or ROUND_ROBIN, which is the default"},
				{Name: "standby", Type: text, Help: "\"attached\": servers that leave stay behind the balancer and drain, so that a switch is one small change"},
				{Name: "drain", Type: number, Help: "seconds that a server that leaves has for its open requests; 10 by default"},
			},
		},
		Kinds:       []resource.Kind{resource.KindSSHKey, resource.KindServer, resource.KindLoadBalancer, resource.KindMembers},
		ListLag:     lag(),
		Draining:    true,
		Evidence:    evidence,
		Credentials: variables(),
	}, nil
}

// evidence is who tells the health of members.
const evidence = "balancer"

// version is that of the program that the provider is built into.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(info.Main.Version, "devel")
	}
	return "devel"
}
