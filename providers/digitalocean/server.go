package digitalocean

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// servers keeps droplets.
type servers struct{ *Provider }

// list gives every droplet with the stack's tag; where the stack's id is not known, every droplet
// of the account.
func (s servers) list(ctx context.Context, q resource.Query) ([]godo.Droplet, error) {
	if q.Stack == "" {
		return all(ctx, "droplets", func(d godo.Droplet) int { return d.ID }, s.api.Droplets.List)
	}
	return s.tagged(ctx, stackTag(q.Stack))
}

func (s servers) tagged(ctx context.Context, tag string) ([]godo.Droplet, error) {
	return all(ctx, "droplets", func(d godo.Droplet) int { return d.ID },
		func(ctx context.Context, o *godo.ListOptions) ([]godo.Droplet, *godo.Response, error) {
			return s.api.Droplets.ListByTag(ctx, tag, o)
		})
}

// found is a droplet as the core sees it. Its image is not observed: a slug moves on to newer
// builds and goes when they are retired, while the droplet stays what it is.
func (s servers) found(m resource.Mark, d *godo.Droplet, a around) resource.Found {
	spec := &resource.ServerSpec{Group: m.Address.Name, Size: d.SizeSlug}
	f := resource.Found{
		Mark: m, Provider: s.alias, ID: strconv.Itoa(d.ID), Created: moment(d.Created),
		Spec: spec, Observed: []string{"group", "size"},
		Facts: resource.Facts{Status: d.Status},
	}
	if d.Region != nil {
		spec.Region = d.Region.Slug
		f.Observed = append(f.Observed, "region")
	}
	if a.networks != nil {
		spec.Network = a.networks[d.VPCUUID]
		f.Observed = append(f.Observed, "network")
	}
	if d.Status == "off" {
		f.Broken = "switched off"
	}
	f.Facts.PublicIP, f.Facts.PrivateIP = address(d, "public"), address(d, "private")
	f.Ready = d.Status == "active" && f.Facts.PublicIP != ""
	return f
}

// address is the droplet's first IPv4 address of a type; their order is not promised.
func address(d *godo.Droplet, kind string) string {
	if d.Networks == nil {
		return ""
	}
	for _, v4 := range d.Networks.V4 {
		if v4.Type == kind {
			return v4.IPAddress
		}
	}
	return ""
}

// create makes the droplets of a call with one request, which is sent once.
func (s servers) create(ctx context.Context, c resource.Call) []resource.Result {
	request, err := s.request(c)
	if err != nil {
		return resource.Fail(c, err)
	}
	made, response, err := s.api.Droplets.CreateMultiple(ctx, request)
	if err != nil {
		return resource.Fail(c, fault("create droplet", c.Items[0].Mark.Address, err, once))
	}
	byName := map[string]*godo.Droplet{}
	for i := range made {
		byName[made[i].Name] = &made[i]
		// One action for each droplet, in their order.
		if response.Links != nil && len(response.Links.Actions) == len(made) {
			s.births.note(made[i].ID, response.Links.Actions[i].ID)
		}
	}
	around := aroundOf(c.Peers)
	results := make([]resource.Result, len(c.Items))
	for i, item := range c.Items {
		results[i].Address = item.Mark.Address
		d, ok := byName[item.Mark.Encode()]
		if !ok {
			results[i].Err = &resource.Error{Kind: resource.Ambiguous, Op: "create droplet", Address: item.Mark.Address,
				Message: fmt.Sprintf("DigitalOcean answered with %d droplets for %d, and not with this one", len(made), len(c.Items))}
			continue
		}
		found := s.found(item.Mark, d, around)
		results[i].Found = &found
	}
	return results
}

// longestUserData is what DigitalOcean takes, in bytes.
const longestUserData = 64 << 10

// request is the one request for all droplets of a call.
func (s servers) request(c resource.Call) (*godo.DropletMultiCreateRequest, error) {
	first := c.Items[0]
	spec, ok := first.Spec.(*resource.ServerSpec)
	if !ok {
		return nil, wrongSpec(first)
	}
	invalid := func(field, format string, args ...any) error {
		return &resource.Error{Kind: resource.Invalid, Op: "create droplet", Address: first.Mark.Address, Field: field, Message: fmt.Sprintf(format, args...)}
	}
	if len(c.Items) > dropletsPerRequest {
		return nil, invalid("", "%d droplets in one call, DigitalOcean makes %d at a time", len(c.Items), dropletsPerRequest)
	}
	if len(c.UserData) > longestUserData {
		return nil, invalid("user_data", "user data of %d bytes, DigitalOcean takes %d", len(c.UserData), longestUserData)
	}
	o, err := serverOptions(spec.Options)
	if err != nil {
		return nil, invalid("options", "%v", err)
	}
	r := &godo.DropletMultiCreateRequest{
		Region: spec.Region, Size: spec.Size, Image: image(spec), UserData: c.UserData,
		Tags:       append([]string{stackTag(first.Mark.Stack), groupTag(first.Mark.Stack, first.Mark.Address.Name)}, o.tags...),
		Monitoring: o.monitoring, IPv6: o.ipv6, Backups: o.backups,
		SSHKeys: []godo.DropletCreateSSHKey{},
	}
	for _, item := range c.Items {
		r.Names = append(r.Names, item.Mark.Encode())
	}
	for _, a := range spec.Keys {
		id, err := peer(c, a)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, noID(c.Peers[a].Mark)
		}
		r.SSHKeys = append(r.SSHKeys, godo.DropletCreateSSHKey{ID: n})
	}
	if !spec.Network.IsZero() {
		if r.VPCUUID, err = peer(c, spec.Network); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// image is what to make a server from: a slug, or the number of a private image.
func image(spec *resource.ServerSpec) godo.DropletCreateImage {
	name := spec.ImageID
	if name == "" {
		name = slug(spec.Image)
	}
	if n, err := strconv.Atoi(name); err == nil {
		return godo.DropletCreateImage{ID: n}
	}
	return godo.DropletCreateImage{Slug: name}
}

// update switches on what is switched off. All else of a droplet is fixed.
func (s servers) update(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := number(item)
		if err != nil {
			return nil, err
		}
		if slices.Contains(item.Changed, "broken") {
			c.Say(item.Mark.Address, "switching it on")
			_, response, err := s.api.DropletActions.PowerOn(ctx, id)
			if err != nil && !alreadyOn(response, err) {
				return item.Have, fault("switch on droplet", item.Mark.Address, err, repeatable)
			}
		}
		d, _, err := s.api.Droplets.Get(ctx, id)
		if err != nil {
			return item.Have, fault("read droplet", item.Mark.Address, err, reading)
		}
		found := s.found(item.Mark, d, aroundOf(c.Peers))
		return &found, nil
	})
}

// alreadyOn reports whether a droplet refused to be switched on because it is.
func alreadyOn(response *godo.Response, err error) bool {
	return response != nil && response.StatusCode == http.StatusUnprocessableEntity &&
		strings.Contains(strings.ToLower(err.Error()), "already") && !strings.Contains(err.Error(), "pending")
}

func (s servers) read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	id, err := strconv.Atoi(have.ID)
	if err != nil {
		return have, noID(have.Mark)
	}
	d, _, err := s.api.Droplets.Get(ctx, id)
	if err != nil {
		if err = absent("read droplet", have, err); resource.IsGone(err) || resource.KindOf(err) == resource.Busy {
			if cause := s.miscarried(ctx, id); cause != "" {
				return have, &resource.Error{Kind: resource.Gone, Op: "read droplet", Address: have.Mark.Address, Message: cause}
			}
		}
		return have, err
	}
	found := s.found(have.Mark, d, aroundOf(q.Peers))
	if d.Status == "new" {
		found.Problem = s.miscarried(ctx, id)
	}
	return found, nil
}

// lateBirth is the age from which on a droplet that is still new is asked why.
const lateBirth = 3 * time.Minute

// miscarried tells why a droplet's creation failed, or nothing while it has not.
func (s servers) miscarried(ctx context.Context, droplet int) string {
	number, ok := s.births.action(droplet)
	if !ok {
		actions, _, err := s.api.Droplets.Actions(ctx, droplet, &godo.ListOptions{PerPage: perPage})
		if err != nil {
			return ""
		}
		for _, a := range actions {
			if a.Type == "create" {
				number = a.ID
			}
		}
	}
	if number == 0 {
		return ""
	}
	action, _, err := s.api.Actions.Get(ctx, number)
	if err != nil || action.Status != "errored" {
		return ""
	}
	return fmt.Sprintf("DigitalOcean could not create droplet %d: action %d ended as %q", droplet, number, action.Status)
}
