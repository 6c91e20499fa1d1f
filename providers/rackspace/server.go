package rackspace

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	nova "github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/cloudship/cloudship/resource"
)

// servers keeps Cloud Servers.
type servers struct{ *Provider }

// perPage is the most that Nova gives on a page; where it gives less, it says so by a link.
const perPage = 1000

// list gives every server of the account in the region. Nova's links to further pages are not
// followed: the next page is asked for by the id of the last server seen.
func (s servers) list(ctx context.Context) ([]nova.Server, error) {
	all := []nova.Server{}
	query := url.Values{"limit": {strconv.Itoa(perPage)}}
	for {
		var page struct {
			Servers []nova.Server `json:"servers"`
			Links   []struct {
				Rel string `json:"rel"`
			} `json:"servers_links"`
		}
		if _, err := s.compute.Get(ctx, s.compute.ServiceURL("servers", "detail")+"?"+query.Encode(), &page, nil); err != nil {
			return nil, fault("list servers", resource.Address{}, err, reading)
		}
		all = append(all, page.Servers...)
		if len(page.Links) == 0 || len(page.Servers) == 0 {
			return all, nil
		}
		query.Set("marker", page.Servers[len(page.Servers)-1].ID)
	}
}

// found is a server as the core sees it. Its image is not observed: images get new ids and go,
// while the server stays what it is.
func (s servers) found(m resource.Mark, v *nova.Server) resource.Found {
	size, _ := v.Flavor["id"].(string)
	f := resource.Found{
		Mark: m, Provider: s.alias, ID: v.ID, Created: v.Created,
		Spec: &resource.ServerSpec{Group: m.Address.Name, Size: size, Region: s.region}, Observed: []string{"group", "size", "region"},
		Facts: resource.Facts{Status: v.Status, PublicIP: v.AccessIPv4, PrivateIP: addressOf(v, "private")},
	}
	if f.Facts.PublicIP == "" {
		f.Facts.PublicIP = addressOf(v, "public")
	}
	f.Ready = v.Status == "ACTIVE" && f.Facts.PublicIP != ""
	switch {
	case v.TaskState == "deleting" || v.Status == "DELETED":
		f.Ready, f.Problem, f.Facts.Status = false, "it is being deleted", "deleting"
	case v.Status == "ERROR":
		f.Problem = wentWrong(v)
	case v.Status == "SHUTOFF":
		f.Broken = "switched off"
	}
	if step, waits := awaited(v); waits {
		f.Ready, f.Facts.Status = false, step
	}
	return f
}

// wentWrong is why a server is in ERROR.
func wentWrong(v *nova.Server) string {
	if v.Fault.Message == "" {
		return "Rackspace could not build it: its status is ERROR"
	}
	return fmt.Sprintf("Rackspace could not build it: %s (code %d)", v.Fault.Message, v.Fault.Code)
}

// automations are what Rackspace does by itself to the servers of some accounts, as their metadata
// tells, and when it is done: until then it changes addresses, users and packages.
var automations = map[string][]string{
	"rackconnect_automation_status": {"DEPLOYED", "UNPROCESSABLE"},
	"rax_service_level_automation":  {"Complete"},
}

// awaited reports whether a server is still in the hands of an automation.
func awaited(v *nova.Server) (step string, waits bool) {
	for key, done := range automations {
		if state, there := v.Metadata[key]; there && !slices.Contains(done, state) {
			return key + ": " + state, true
		}
	}
	return "", false
}

// addressOf is the server's first IPv4 address in a network.
func addressOf(v *nova.Server, network string) string {
	list, _ := v.Addresses[network].([]any)
	for _, entry := range list {
		fields, _ := entry.(map[string]any)
		if address, ok := fields["addr"].(string); ok && fmt.Sprint(fields["version"]) == "4" {
			return address
		}
	}
	return ""
}

// longestUserData is what Nova takes, in bytes of base64.
const longestUserData = 65535

func (s servers) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		request, err := s.request(c, item)
		if err != nil {
			return nil, err
		}
		made, err := nova.Create(ctx, s.compute, request, nil).Extract()
		if err != nil {
			return nil, fault("create server", item.Mark.Address, err, once)
		}
		// The answer holds little more than the id, and a password that nobody is to see. When it
		// was made, the lists will tell.
		spec, _ := item.Spec.(*resource.ServerSpec)
		return &resource.Found{
			Mark: item.Mark, Provider: s.alias, ID: made.ID, Facts: resource.Facts{Status: "BUILD"}, Created: time.Now().UTC(),
			Spec: &resource.ServerSpec{Group: item.Mark.Address.Name, Size: spec.Size, Region: s.region}, Observed: []string{"group", "size", "region"},
		}, nil
	})
}

// request is the one request for a server. User data reaches it on a config drive, and nowhere
// else.
func (s servers) request(c resource.Call, item resource.Item) (nova.CreateOptsBuilder, error) {
	spec, ok := item.Spec.(*resource.ServerSpec)
	if !ok {
		return nil, wrongSpec(item)
	}
	invalid := func(field, format string, args ...any) error {
		return &resource.Error{Kind: resource.Invalid, Op: "create server", Address: item.Mark.Address, Field: field, Message: fmt.Sprintf(format, args...)}
	}
	yes := true
	request := nova.CreateOpts{
		Name: item.Mark.Encode(), FlavorRef: spec.Size, ImageRef: spec.ImageID, ConfigDrive: &yes,
		Metadata: map[string]string{markKey: item.Mark.Encode()},
	}
	if c.UserData != "" {
		// It is encoded here: gophercloud leaves a text alone that could be base64 by chance.
		encoded := base64.StdEncoding.EncodeToString([]byte(c.UserData))
		if len(encoded) > longestUserData {
			return nil, invalid("user_data", "user data of %d bytes in base64, Rackspace takes %d", len(encoded), longestUserData)
		}
		request.UserData = []byte(encoded)
	}
	if len(spec.Keys) == 0 {
		return request, nil
	}
	// Nova takes one key pair; all of them are in the user data, and later in authorized_keys.
	key, ok := c.Peers[spec.Keys[0]]
	if !ok || key.ID == "" {
		return nil, invalid("keys", "%s is not there yet", spec.Keys[0])
	}
	return keypairs.CreateOptsExt{CreateOptsBuilder: request, KeyName: key.ID}, nil
}

// update switches on what is switched off. All else of a server is fixed.
func (s servers) update(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := id(item)
		if err != nil {
			return nil, err
		}
		if slices.Contains(item.Changed, "broken") {
			c.Say(item.Mark.Address, "switching it on")
			err := fault("switch on server", item.Mark.Address, nova.Start(ctx, s.compute, id).ExtractErr(), repeatable)
			if err != nil && resource.KindOf(err) != resource.Conflict { // it is on, or on its way
				return item.Have, err
			}
		}
		v, err := nova.Get(ctx, s.compute, id).Extract()
		if err != nil {
			return item.Have, fault("read server", item.Mark.Address, err, reading)
		}
		found := s.found(item.Mark, v)
		return &found, nil
	})
}

func (s servers) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := id(item)
		if err != nil {
			return nil, err
		}
		return nil, deleted("delete server", item, nova.Delete(ctx, s.compute, id).ExtractErr())
	})
}

func (s servers) read(ctx context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	v, err := nova.Get(ctx, s.compute, have.ID).Extract()
	if err != nil {
		return have, absent("read server", have, err)
	}
	return s.found(have.Mark, v), nil
}
