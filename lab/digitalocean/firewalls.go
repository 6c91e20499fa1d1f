package digitalocean

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"time"
)

func (a *API) firewallRoutes() {
	a.handle("GET /v2/firewalls", a.listFirewalls)
	a.handle("POST /v2/firewalls", a.createFirewall)
	a.handle("GET /v2/firewalls/{firewall}", a.getFirewall)
	a.handle("PUT /v2/firewalls/{firewall}", a.replaceFirewall)
	a.handle("DELETE /v2/firewalls/{firewall}", a.deleteFirewall)
	for _, part := range []string{"droplets", "tags", "rules"} {
		a.handle("POST /v2/firewalls/{firewall}/"+part, a.changeFirewall(part, true))
		a.handle("DELETE /v2/firewalls/{firewall}/"+part, a.changeFirewall(part, false))
	}
}

// peers are those whom a rule lets in or out.
type peers struct {
	Addresses  []string `json:"addresses,omitempty"`
	DropletIDs []int    `json:"droplet_ids,omitempty"`
	Balancers  []string `json:"load_balancer_uids,omitempty"`
	Kubernetes []string `json:"kubernetes_ids,omitempty"`
	Tags       []string `json:"tags,omitempty"`
}

// firewallRule has sources when it is about what comes in, destinations else.
type firewallRule struct {
	Protocol     string `json:"protocol"`
	Ports        string `json:"ports"`
	Sources      *peers `json:"sources,omitempty"`
	Destinations *peers `json:"destinations,omitempty"`
}

// firewallSpec is what a client says of a firewall.
type firewallSpec struct {
	Name       string         `json:"name"`
	Inbound    []firewallRule `json:"inbound_rules"`
	Outbound   []firewallRule `json:"outbound_rules"`
	DropletIDs []int          `json:"droplet_ids"`
	Tags       []string       `json:"tags"`
}

// firewall is a set of rules and those it holds for.
type firewall struct {
	firewallSpec
	ID        string
	Created   time.Time
	SettledAt time.Time // its last change is in force from then on
	Joining   []int     // droplets for which it is not yet
	Leaving   []int
}

type pendingChange struct {
	DropletID int    `json:"droplet_id"`
	Removing  bool   `json:"removing"`
	Status    string `json:"status"`
}

type firewallView struct {
	firewallSpec
	ID             string          `json:"id"`
	Status         string          `json:"status"`
	CreatedAt      time.Time       `json:"created_at"`
	PendingChanges []pendingChange `json:"pending_changes"`
}

func (a *API) viewFirewall(now time.Time, f *firewall) firewallView {
	v := firewallView{
		firewallSpec: f.firewallSpec, ID: f.ID, Status: "succeeded",
		CreatedAt: second(f.Created), PendingChanges: []pendingChange{},
	}
	v.Inbound, v.Outbound = some(v.Inbound), some(v.Outbound)
	v.DropletIDs, v.Tags = some(v.DropletIDs), some(v.Tags)
	if now.Before(f.SettledAt) {
		v.Status = "waiting"
		for _, id := range f.Joining {
			v.PendingChanges = append(v.PendingChanges, pendingChange{id, false, "waiting"})
		}
		for _, id := range f.Leaving {
			v.PendingChanges = append(v.PendingChanges, pendingChange{id, true, "waiting"})
		}
	}
	return v
}

// The most droplets and tags that a firewall names.
const (
	mostFirewallDroplets = 10
	mostFirewallTags     = 5
)

var (
	firewallName  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]+$`)
	firewallPorts = regexp.MustCompile(`^\d{1,5}(-\d{1,5})?$`)
)

// complete writes "0" for all ports, as DigitalOcean does, and always for ICMP.
func (s *firewallSpec) complete() {
	for _, rules := range [][]firewallRule{s.Inbound, s.Outbound} {
		for i, r := range rules {
			if r.Ports == "all" || r.Protocol == "icmp" {
				rules[i].Ports = "0"
			}
		}
	}
}

func (a *API) checkFirewall(s *firewallSpec, id string) error {
	if !firewallName.MatchString(s.Name) {
		return invalid("name must start with a letter or a digit and contain only letters, digits, periods and dashes")
	}
	for _, other := range a.state.Firewalls.All {
		if other.Name == s.Name && other.ID != id {
			return fail(http.StatusConflict, "duplicate name")
		}
	}
	if len(s.Inbound)+len(s.Outbound) == 0 {
		return invalid("must have at least one rule (inbound or outbound)")
	}
	return a.checkFirewallParts(s)
}

// checkFirewallParts checks the rules, droplets and tags of a firewall.
func (a *API) checkFirewallParts(s *firewallSpec) error {
	for _, r := range s.Inbound {
		if err := a.checkFirewallRule(r, r.Sources, "sources"); err != nil {
			return err
		}
	}
	for _, r := range s.Outbound {
		if err := a.checkFirewallRule(r, r.Destinations, "destinations"); err != nil {
			return err
		}
	}
	if len(s.DropletIDs) > mostFirewallDroplets {
		return invalid("a firewall can have at most %d droplets", mostFirewallDroplets)
	}
	if len(s.Tags) > mostFirewallTags {
		return invalid("a firewall can have at most %d tags", mostFirewallTags)
	}
	for _, id := range s.DropletIDs {
		if _, ok := a.state.Droplets.Get(id); !ok {
			return invalid("droplet %d does not exist", id)
		}
	}
	return a.checkTagsExist(s.Tags)
}

func (a *API) checkFirewallRule(r firewallRule, who *peers, field string) error {
	switch {
	case !slices.Contains([]string{"tcp", "udp", "icmp"}, r.Protocol):
		return invalid("invalid protocol %q", r.Protocol)
	case !firewallPorts.MatchString(r.Ports):
		return invalid("invalid ports %q for %s", r.Ports, r.Protocol)
	case who == nil || reflect.DeepEqual(*who, peers{}):
		return invalid("a rule needs %s", field)
	}
	return a.checkTagsExist(who.Tags)
}

func (a *API) checkTagsExist(tags []string) error {
	for _, t := range tags {
		if _, ok := a.findTag(t); !ok {
			return invalid("tag %s does not exist", t)
		}
	}
	return nil
}

// unsettle notes that a firewall was changed and needs a while.
func (a *API) unsettle(c *call, f *firewall, before []int) {
	f.SettledAt = c.now.Add(durationOf(c.timing.Firewall))
	f.Joining = withoutIDs(f.DropletIDs, before...)
	f.Leaving = withoutIDs(before, f.DropletIDs...)
}

func (a *API) listFirewalls(c *call) (reply, error) {
	return a.pageFirewalls(c, func(*firewall) bool { return true })
}

func (a *API) pageFirewalls(c *call, keep func(*firewall) bool) (reply, error) {
	all := a.state.Firewalls.List(c.now, c.timing.ListLag)
	all = slices.DeleteFunc(all, func(f *firewall) bool { return !keep(f) })
	return page(c, "firewalls", all, func(f *firewall) firewallView { return a.viewFirewall(c.now, f) })
}

func (a *API) listDropletFirewalls(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	return a.pageFirewalls(c, func(f *firewall) bool {
		return slices.Contains(f.DropletIDs, d.ID) ||
			slices.ContainsFunc(f.Tags, func(t string) bool { return hasTag(d.Tags, t) })
	})
}

func (a *API) createFirewall(c *call) (reply, error) {
	f := &firewall{ID: newUUID(), Created: c.now}
	if err := c.decode(&f.firewallSpec); err != nil {
		return reply{}, err
	}
	f.complete()
	if err := a.checkFirewall(&f.firewallSpec, ""); err != nil {
		return reply{}, err
	}
	a.unsettle(c, f, nil)
	a.state.Firewalls.Put(c.now, f.ID, f)
	return a.firewallReply(c, http.StatusAccepted, f)
}

func (a *API) firewallReply(c *call, status int, f *firewall) (reply, error) {
	return reply{status, map[string]any{"firewall": a.viewFirewall(c.now, f)}}, nil
}

func (a *API) shownFirewall(c *call) (*firewall, error) {
	f, ok := a.state.Firewalls.Find(c.now, c.PathValue("firewall"), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return f, nil
}

func (a *API) getFirewall(c *call) (reply, error) {
	f, err := a.shownFirewall(c)
	if err != nil {
		return reply{}, err
	}
	return a.firewallReply(c, http.StatusOK, f)
}

func (a *API) replaceFirewall(c *call) (reply, error) {
	f, err := a.shownFirewall(c)
	if err != nil {
		return reply{}, err
	}
	var s firewallSpec
	if err := c.decode(&s); err != nil {
		return reply{}, err
	}
	s.complete()
	if err := a.checkFirewall(&s, f.ID); err != nil {
		return reply{}, err
	}
	before := f.DropletIDs
	f.firewallSpec = s
	a.unsettle(c, f, before)
	return a.firewallReply(c, http.StatusOK, f)
}

func (a *API) deleteFirewall(c *call) (reply, error) {
	f, err := a.shownFirewall(c)
	if err != nil {
		return reply{}, err
	}
	a.state.Firewalls.Delete(c.now, f.ID, c.now)
	return none, nil
}

// changeFirewall adds to a part of a firewall, or takes away from it.
func (a *API) changeFirewall(part string, add bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		f, err := a.shownFirewall(c)
		if err != nil {
			return reply{}, err
		}
		var s firewallSpec
		if err := c.decode(&s); err != nil {
			return reply{}, err
		}
		s.complete()
		given := map[string]int{"droplets": len(s.DropletIDs), "tags": len(s.Tags), "rules": len(s.Inbound) + len(s.Outbound)}
		if given[part] == 0 {
			return reply{}, fail(http.StatusBadRequest, "%s missing", part)
		}
		wanted := f.firewallSpec
		change(&wanted.DropletIDs, s.DropletIDs, add)
		change(&wanted.Tags, s.Tags, add)
		change(&wanted.Inbound, s.Inbound, add)
		change(&wanted.Outbound, s.Outbound, add)
		if add {
			err = a.checkFirewallParts(&wanted)
		}
		if err != nil {
			return reply{}, err
		}
		if part == "rules" && len(wanted.Inbound)+len(wanted.Outbound) == 0 {
			return reply{}, invalid("must have at least one rule (inbound or outbound)")
		}
		before := f.DropletIDs
		f.firewallSpec = wanted
		a.unsettle(c, f, before)
		return none, nil
	}
}

// change adds items to a list, each once, or takes them away.
func change[V any](list *[]V, items []V, add bool) {
	result := slices.DeleteFunc(slices.Clone(*list), func(have V) bool {
		return slices.ContainsFunc(items, func(item V) bool { return reflect.DeepEqual(have, item) })
	})
	if add {
		result = append(result, items...)
	}
	*list = result
}
