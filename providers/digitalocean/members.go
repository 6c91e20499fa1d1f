package digitalocean

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// members keeps which droplets a load balancer sends to: by id up to ten, by tag beyond. They have
// no id of their own; theirs is the balancer's. They are there as long as it is, be they none.
// Nothing but this file changes them.
//
// DigitalOcean tells a member's health by a metric at best, so that the core's own check is the
// evidence (Schema.Evidence).
type members struct{ *Provider }

// mostByID is how many droplets a balancer takes by id.
const mostByID = 10

// found tells who is behind a balancer. A server counts as a member by its newest droplet only; an
// older one that is still behind the balancer, or a droplet that is not ours, stands among the
// facts.
func (m members) found(balancer resource.Mark, lb *godo.LoadBalancer, a around) resource.Found {
	mark := balancer
	mark.Address = resource.MembersOf(balancer.Address.Name)
	spec := &resource.MembersSpec{LoadBalancer: balancer.Address}
	f := resource.Found{
		Mark: mark, Provider: m.alias, ID: lb.ID, Spec: spec, Observed: []string{"load_balancer", "servers"},
		Facts: resource.Facts{Status: lb.Status}, Created: moment(lb.Created),
		Ready: lb.Status == "active" && m.expected.met(lb.ID, lb.DropletIDs),
	}
	for _, id := range lb.DropletIDs {
		s, ours := a.servers[id]
		if ours && s.newest {
			spec.Servers = append(spec.Servers, s.mark.Address)
		}
		member, measured := a.health[lb.ID][strconv.Itoa(id)]
		if !measured {
			member.Health = resource.HealthUnknown
		}
		member.Server, member.ID = s.mark.Address, strconv.Itoa(id)
		f.Facts.Members = append(f.Facts.Members, member)
	}
	slices.SortFunc(spec.Servers, resource.Address.Compare)
	slices.SortFunc(f.Facts.Members, func(a, b resource.Member) int {
		return cmp.Or(a.Server.Compare(b.Server), cmp.Compare(a.ID, b.ID))
	})
	return f
}

// create brings the members of a balancer to what is wanted; there is nothing to make.
func (m members) create(ctx context.Context, c resource.Call) []resource.Result {
	return m.update(ctx, c)
}

func (m members) update(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.MembersSpec)
		if !ok {
			return item.Have, wrongSpec(item)
		}
		found, err := m.bring(ctx, c, item, spec)
		if err != nil && found == nil {
			found = item.Have
		}
		return found, err
	})
}

// bring adds who is to be a member and then removes who is not, as far as they are ours.
//
// A new member gets no traffic until its checks have passed healthy_threshold times, and the API
// does not tell when that is. So nobody leaves as long as only new ones would stay: the call is
// busy until their checks have had their time. The droplet that a wanted server had before it was
// replaced is left in altogether; it leaves when it is deleted, and members are not ready before
// that can be. In the phases of a switch the core knows more: it has seen the new ones healthy.
func (m members) bring(ctx context.Context, c resource.Call, item resource.Item, spec *resource.MembersSpec) (*resource.Found, error) {
	balancer, ok := c.Peers[spec.LoadBalancer]
	if !ok || balancer.ID == "" {
		return nil, &resource.Error{Kind: resource.Invalid, Address: item.Mark.Address, Message: fmt.Sprintf("%s is not there yet", spec.LoadBalancer)}
	}
	wanted, err := dropletsOf(c, spec)
	if err != nil {
		return nil, err
	}
	lb, _, err := m.api.LoadBalancers.Get(ctx, balancer.ID)
	if err != nil {
		return nil, fault("read load balancer", item.Mark.Address, err, reading)
	}
	around := aroundOf(c.Peers)
	add, remove := missing(wanted, lb.DropletIDs), missing(m.dismissable(item, around, lb), wanted)
	before := predecessors(item, spec, remove)
	switch c.Phase {
	case "attach":
		remove, before = nil, nil
	case "":
		remove = missing(remove, before)
	default:
		before = nil
	}
	if err := m.join(ctx, item, balancer.Mark, lb, add); err != nil {
		return nil, err
	}
	expect := change{add: add}
	if len(before) > 0 {
		expect.until = time.Now().Add(checksOf(lb))
	}
	staying := missing(slices.Concat(lb.DropletIDs, add), remove)
	if wait := m.expected.settling(lb.ID, staying); c.Phase == "" && len(remove) > 0 && len(wanted) > 0 && wait > 0 {
		m.expected.note(lb.ID, expect)
		return nil, &resource.Error{Kind: resource.Busy, Op: "remove droplets from load balancer", Address: item.Mark.Address,
			Message: fmt.Sprintf("the new members' checks need another %s before the old ones may leave", wait.Round(time.Second))}
	}
	if err := m.change(ctx, item, lb, remove, false); err != nil {
		return nil, err
	}
	expect.remove = remove
	if len(add)+len(remove)+len(before) > 0 {
		m.expected.note(lb.ID, expect)
		if lb, _, err = m.api.LoadBalancers.Get(ctx, balancer.ID); err != nil {
			return nil, fault("read load balancer", item.Mark.Address, err, reading)
		}
	}
	found := m.found(balancer.Mark, lb, around)
	found.Mark = item.Mark
	return &found, nil
}

// join adds droplets to a balancer. Beside others they are new until their checks have had their
// time.
func (m members) join(ctx context.Context, item resource.Item, balancer resource.Mark, lb *godo.LoadBalancer, add []int) error {
	if lb.Tag == "" && len(lb.DropletIDs)+len(add) > mostByID {
		if err := m.goByTag(ctx, item, balancer, lb); err != nil {
			return err
		}
	}
	if err := m.change(ctx, item, lb, add, true); err != nil {
		return err
	}
	if len(lb.DropletIDs) > 0 {
		m.expected.joined(lb.ID, add, time.Now().Add(checksOf(lb)))
	}
	return nil
}

// predecessors are those to be removed that wanted servers had before they were replaced.
func predecessors(item resource.Item, spec *resource.MembersSpec, remove []int) []int {
	if item.Have == nil {
		return nil
	}
	var ids []int
	for _, member := range item.Have.Facts.Members {
		id, err := strconv.Atoi(member.ID)
		if err == nil && slices.Contains(remove, id) && slices.Contains(spec.Servers, member.Server) {
			ids = append(ids, id)
		}
	}
	return ids
}

// checksOf is how long a balancer takes to send traffic to a new member that is healthy: its
// checks, the last answer, and one more for the moment at which it learns of the member.
// DIGITALOCEAN_CHECKS_TAKE overrides it, for a lab on paper, where nothing is checked.
func checksOf(lb *godo.LoadBalancer) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(checksVariable)); err == nil && d >= 0 {
		return d
	}
	h := cmp.Or(lb.HealthCheck, &godo.HealthCheck{CheckIntervalSeconds: defaultCheck.Interval, HealthyThreshold: defaultCheck.Healthy, ResponseTimeoutSeconds: defaultCheck.Timeout})
	return time.Duration(h.CheckIntervalSeconds*(h.HealthyThreshold+1)+h.ResponseTimeoutSeconds) * time.Second
}

// dropletsOf are the droplets of all servers that a spec names. A draining one stays a member:
// DigitalOcean cannot drain.
func dropletsOf(c resource.Call, spec *resource.MembersSpec) ([]int, error) {
	var ids []int
	for _, a := range slices.Concat(spec.Servers, spec.Draining) {
		id, err := peer(c, a)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, noID(c.Peers[a].Mark)
		}
		ids = append(ids, n)
	}
	return ids, nil
}

// dismissable are the present members that are ours to remove: those that were found as a
// server's, or are one now. A droplet that somebody else put there is left alone.
func (m members) dismissable(item resource.Item, a around, lb *godo.LoadBalancer) []int {
	known := map[int]bool{}
	for id := range a.servers {
		known[id] = true
	}
	if item.Have != nil {
		for _, member := range item.Have.Facts.Members {
			if id, err := strconv.Atoi(member.ID); err == nil && !member.Server.IsZero() {
				known[id] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(lb.DropletIDs), func(id int) bool { return !known[id] })
}

// missing are those of a that are not in b.
func missing(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(id int) bool { return slices.Contains(b, id) })
}

// change adds droplets to a balancer or removes them, in the way that the balancer goes by.
func (m members) change(ctx context.Context, item resource.Item, lb *godo.LoadBalancer, ids []int, add bool) error {
	if len(ids) == 0 {
		return nil
	}
	if lb.Tag != "" {
		if add {
			if err := m.ensureTags(ctx, item.Mark.Address, lb.Tag); err != nil {
				return err
			}
		}
		var names []string
		for _, id := range ids {
			names = append(names, strconv.Itoa(id))
		}
		return m.tagDroplets(ctx, item.Mark.Address, lb.Tag, names, add)
	}
	do, op := m.api.LoadBalancers.RemoveDroplets, "remove droplets from load balancer"
	if add {
		do, op = m.api.LoadBalancers.AddDroplets, "add droplets to load balancer"
	}
	_, err := do(ctx, lb.ID, ids...)
	return fault(op, item.Mark.Address, err, repeatable)
}

// goByTag makes a balancer that goes by id go by tag, since it is to have more members than it
// takes by id. All present members get the tag first, so that none is lost.
func (m members) goByTag(ctx context.Context, item resource.Item, balancer resource.Mark, lb *godo.LoadBalancer) error {
	tag := memberTag(balancer)
	if err := m.ensureTags(ctx, item.Mark.Address, tag); err != nil {
		return err
	}
	var present []string
	for _, id := range lb.DropletIDs {
		present = append(present, strconv.Itoa(id))
	}
	if err := m.tagDroplets(ctx, item.Mark.Address, tag, present, true); err != nil {
		return err
	}
	request := requestOf(lb)
	request.DropletIDs, request.Tag = nil, tag
	if _, _, err := m.api.LoadBalancers.Update(ctx, lb.ID, request); err != nil {
		return fault("let load balancer go by tag", item.Mark.Address, err, repeatable)
	}
	lb.Tag = tag
	return nil
}

// remove takes our members out; the balancer itself stays.
func (m members) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		balancer, err := id(item)
		if err != nil {
			return nil, err
		}
		lb, _, err := m.api.LoadBalancers.Get(ctx, balancer)
		if err != nil {
			return nil, deleted("read load balancer", item, err)
		}
		return nil, m.change(ctx, item, lb, m.dismissable(item, aroundOf(c.Peers), lb), false)
	})
}

func (m members) read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	lb, _, err := m.api.LoadBalancers.Get(ctx, have.ID)
	if err != nil {
		return have, absent("read load balancer", have, err)
	}
	a := aroundOf(q.Peers)
	if len(a.servers) == 0 {
		droplets, err := servers(m).list(ctx, q)
		if err != nil {
			return have, err
		}
		a.servers = sightings(q, droplets)
	}
	balancer := have.Mark
	balancer.Address = resource.LoadBalancer(have.Mark.Address.Name)
	found := m.found(balancer, lb, a)
	found.Mark = have.Mark
	return found, nil
}
