package digitalocean

import (
	"context"
	"fmt"
	"slices"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// firewalls keeps cloud firewalls. They cover servers by the tags of their groups, so that a new
// server is covered from its first moment. Their names are unique: a repeated create is refused.
type firewalls struct{ *Provider }

// mostTags is how many tags a firewall takes.
const mostTags = 5

func (f firewalls) list(ctx context.Context) ([]godo.Firewall, error) {
	return all(ctx, "firewalls", func(f godo.Firewall) string { return f.ID }, f.api.Firewalls.List)
}

func (f firewalls) found(m resource.Mark, fw *godo.Firewall, a around) resource.Found {
	spec := &resource.FirewallSpec{}
	found := resource.Found{
		Mark: m, Provider: f.alias, ID: fw.ID, Created: moment(fw.Created), Spec: spec, Observed: []string{"groups", "inbound", "outbound"},
		Facts: resource.Facts{Status: fw.Status}, Ready: fw.Status == "succeeded" && len(fw.PendingChanges) == 0,
	}
	for _, tag := range fw.Tags {
		if group, ok := groupOf(m.Stack, tag); ok {
			spec.Groups = append(spec.Groups, group)
		}
	}
	slices.Sort(spec.Groups)
	for _, r := range fw.InboundRules {
		spec.Inbound = append(spec.Inbound, inboundOf(m.Stack, r, a))
	}
	for _, r := range fw.OutboundRules {
		spec.Outbound = append(spec.Outbound, outboundOf(m.Stack, r))
	}
	sortRules(spec.Inbound)
	sortRules(spec.Outbound)
	if a.balancers == nil && slices.ContainsFunc(fw.InboundRules, func(r godo.InboundRule) bool { return r.Sources != nil && len(r.Sources.LoadBalancerUIDs) > 0 }) {
		found.Observed = []string{"groups", "outbound"} // whose the balancers are is not known here
	}
	if fw.Status == "failed" {
		found.Problem = "DigitalOcean could not apply the firewall: its status is \"failed\""
	}
	return found
}

func (f firewalls) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		r, err := f.request(ctx, c, item)
		if err != nil {
			return nil, err
		}
		fw, _, err := f.api.Firewalls.Create(ctx, r)
		if err = fault("create firewall", item.Mark.Address, err, once); err != nil {
			if resource.KindOf(err) != resource.Conflict {
				return nil, err
			}
			list, listErr := f.list(ctx)
			if listErr != nil {
				return nil, listErr
			}
			at := slices.IndexFunc(list, func(other godo.Firewall) bool { return other.Name == r.Name })
			if at < 0 {
				return nil, err
			}
			fw = &list[at]
		}
		found := f.found(item.Mark, fw, aroundOf(c.Peers))
		return &found, nil
	})
}

// request is the whole firewall that a spec wants. The tags that it names exist when it returns.
func (f firewalls) request(ctx context.Context, c resource.Call, item resource.Item) (*godo.FirewallRequest, error) {
	spec, ok := item.Spec.(*resource.FirewallSpec)
	if !ok {
		return nil, wrongSpec(item)
	}
	if len(spec.Groups) > mostTags {
		return nil, &resource.Error{Kind: resource.Invalid, Address: item.Mark.Address, Field: "groups",
			Message: fmt.Sprintf("a firewall of DigitalOcean covers at most %d groups, this one has %d", mostTags, len(spec.Groups))}
	}
	r := &godo.FirewallRequest{Name: item.Mark.Encode(), InboundRules: []godo.InboundRule{}, OutboundRules: []godo.OutboundRule{}, DropletIDs: []int{}, Tags: []string{}}
	tags := map[string]bool{}
	for _, group := range spec.Groups {
		tag := groupTag(item.Mark.Stack, group)
		r.Tags = append(r.Tags, tag)
		tags[tag] = true
	}
	for _, rule := range slices.Concat(spec.Inbound, spec.Outbound) {
		for _, group := range rule.Groups {
			tags[groupTag(item.Mark.Stack, group)] = true
		}
	}
	for _, rule := range spec.Inbound {
		in, err := inboundTo(c, item.Mark.Stack, rule)
		if err != nil {
			return nil, err
		}
		r.InboundRules = append(r.InboundRules, in)
	}
	for _, rule := range spec.Outbound {
		r.OutboundRules = append(r.OutboundRules, outboundTo(item.Mark.Stack, rule))
	}
	return r, f.ensureTags(ctx, item.Mark.Address, names(tags)...)
}

// update replaces the rules and the groups. What the API has beside them, droplets that somebody
// added by id and tags that are not ours, stays.
func (f firewalls) update(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := id(item)
		if err != nil {
			return item.Have, err
		}
		r, err := f.request(ctx, c, item)
		if err != nil {
			return item.Have, err
		}
		there, _, err := f.api.Firewalls.Get(ctx, id)
		if err != nil {
			return item.Have, fault("read firewall", item.Mark.Address, err, reading)
		}
		r.DropletIDs = append(r.DropletIDs, there.DropletIDs...)
		for _, tag := range there.Tags {
			if _, ours := groupOf(item.Mark.Stack, tag); !ours {
				r.Tags = append(r.Tags, tag)
			}
		}
		fw, _, err := f.api.Firewalls.Update(ctx, id, r)
		if err != nil {
			return item.Have, fault("update firewall", item.Mark.Address, err, repeatable)
		}
		found := f.found(item.Mark, fw, aroundOf(c.Peers))
		return &found, nil
	})
}

func (f firewalls) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := id(item)
		if err != nil {
			return nil, err
		}
		_, err = f.api.Firewalls.Delete(ctx, id)
		return nil, deleted("delete firewall", item, err)
	})
}

func (f firewalls) read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	fw, _, err := f.api.Firewalls.Get(ctx, have.ID)
	if err != nil {
		return have, absent("read firewall", have, err)
	}
	a := aroundOf(q.Peers)
	if len(a.balancers) == 0 {
		a.balancers = nil
	}
	return f.found(have.Mark, fw, a), nil
}
