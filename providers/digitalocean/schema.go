package digitalocean

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"runtime/debug"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Variables of the environment that the provider reads.
const (
	tokenVariable      = "DIGITALOCEAN_TOKEN"
	accessVariable     = "DIGITALOCEAN_ACCESS_TOKEN" // the word that doctl uses
	endpointVariable   = "DIGITALOCEAN_API_URL"
	lagVariable        = "DIGITALOCEAN_LIST_LAG"
	checksVariable     = "DIGITALOCEAN_CHECKS_TAKE"
	tokenPage          = "https://cloud.digitalocean.com/account/api/tokens"
	limitPage          = "https://cloud.digitalocean.com/account/team/droplet_limit_increase"
	dropletsPerRequest = 10
)

// listLag is how long lists may lag behind a create unless DIGITALOCEAN_LIST_LAG says otherwise.
// DigitalOcean promises nothing; half a minute is beyond all that was reported.
const listLag = 30 * time.Second

func lag() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(lagVariable)); err == nil && d >= 0 {
		return d
	}
	return listLag
}

// Schema describes the provider.
func (p *Provider) Schema(context.Context) (resource.Schema, error) {
	text, number, flag := json.RawMessage(`"string"`), json.RawMessage(`"number"`), json.RawMessage(`"bool"`)
	return resource.Schema{
		Name:    "digitalocean",
		Version: version(),
		Config: []resource.Attribute{
			{Name: "region", Type: text, Help: "where things are made that name no region themselves: \"fra1\""},
		},
		Options: map[resource.Kind][]resource.Attribute{
			resource.KindServer: {
				{Name: "monitoring", Type: flag, Fixed: true, Help: "install DigitalOcean's metrics agent"},
				{Name: "ipv6", Type: flag, Fixed: true, Help: "give the server an IPv6 address as well"},
				{Name: "backups", Type: flag, Fixed: true, Help: "DigitalOcean's own weekly backups"},
				{Name: "tags", Type: json.RawMessage(`["list","string"]`), Fixed: true, Help: "more tags, beside cloudship's own"},
			},
			resource.KindLoadBalancer: {
				{Name: "size_unit", Type: number, Help: "number of nodes, 1 to 100; each has its price"},
				{Name: "backend_keepalive", Type: flag, Help: "keep connections to the servers open between requests"},
			},
		},
		Kinds: []resource.Kind{resource.KindSSHKey, resource.KindNetwork, resource.KindServer, resource.KindFirewall,
			resource.KindLoadBalancer, resource.KindMembers},
		ListLag:     lag(),
		Batch:       map[resource.Kind]int{resource.KindServer: dropletsPerRequest},
		DeleteByTag: true,
		Evidence:    "probe",
		Credentials: []string{tokenVariable, accessVariable, endpointVariable},
	}, nil
}

// version is that of the program that the provider is built into.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(info.Main.Version, "devel")
	}
	return "devel"
}
