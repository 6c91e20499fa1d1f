package rackspace

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// members keeps which servers a load balancer sends to: its nodes. They have no id of their own;
// theirs is the balancer's. They are there as long as it is, be they none. Nothing but this file
// changes the conditions of nodes.
//
// A server that leaves is drained first: its node gets no new connections and keeps its open ones
// for as long as the balancer's option "drain" says, and then it goes. With the option "standby" it
// stays, drained.
type members struct{ *Provider }

// found tells who is behind a balancer. A server is a member while its node is enabled, by its
// newest generation only; every node of ours stands among the facts.
func (m members) found(balancer resource.Mark, lb *lbView, a around) resource.Found {
	mark := balancer
	mark.Address = resource.MembersOf(balancer.Address.Name)
	spec := &resource.MembersSpec{LoadBalancer: balancer.Address}
	f := resource.Found{
		Mark: mark, Provider: m.alias, ID: strconv.Itoa(lb.ID), Spec: spec, Observed: []string{"load_balancer", "servers"},
		Facts: resource.Facts{Status: lb.Status}, Created: lb.Created.Time, Ready: lb.Status == "ACTIVE",
	}
	_, port := lb.target()
	for _, n := range lb.Nodes {
		s := a[n.Address]
		if s.newest && n.Port == port && n.Condition == enabled && !slices.Contains(spec.Servers, s.mark.Address) {
			spec.Servers = append(spec.Servers, s.mark.Address)
		}
		f.Facts.Members = append(f.Facts.Members, resource.Member{
			Server: s.mark.Address, ID: strconv.Itoa(n.ID), Draining: n.Condition == draining, Health: m.health(n, lb), Evidence: evidence, Since: m.arrivals.seen(n.ID),
		})
	}
	slices.SortFunc(spec.Servers, resource.Address.Compare)
	slices.SortFunc(f.Facts.Members, func(a, b resource.Member) int {
		return cmp.Or(a.Server.Compare(b.Server), cmp.Compare(a.ID, b.ID))
	})
	return f
}

// health is what the balancer says of a node. A new one is ONLINE before anything has checked it:
// until it has had time to fail, its health is not known.
func (m members) health(n node, lb *lbView) resource.Health {
	switch {
	case n.Status == "OFFLINE":
		return resource.Unhealthy
	case n.Status != "ONLINE":
		return resource.HealthUnknown
	}
	since := m.arrivals.seen(n.ID)
	if since.IsZero() || lb.monitor == nil {
		return resource.Healthy
	}
	if time.Since(since) < time.Duration(lb.monitor.Delay*lb.monitor.Attempts+lb.monitor.Timeout)*time.Second {
		return resource.HealthUnknown
	}
	return resource.Healthy
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
		return persist(ctx, c, item.Mark.Address, patience, func() (*resource.Found, error) {
			found, err := m.step(ctx, c, item, spec)
			if found == nil {
				found = item.Have
			}
			return found, err
		})
	})
}

// step makes the first of the changes that are left to do, and answers that the balancer is busy
// while others are to follow.
func (m members) step(ctx context.Context, c resource.Call, item resource.Item, spec *resource.MembersSpec) (*resource.Found, error) {
	balancer, ok := c.Peers[spec.LoadBalancer]
	if !ok || balancer.ID == "" {
		return nil, &resource.Error{Kind: resource.Invalid, Address: item.Mark.Address, Message: fmt.Sprintf("%s is not there yet", spec.LoadBalancer)}
	}
	id, err := strconv.Atoi(balancer.ID)
	if err != nil {
		return nil, noID(balancer.Mark)
	}
	lb, err := m.lbs.monitored(ctx, id)
	if err != nil {
		return nil, fault("read load balancer", item.Mark.Address, err, reading)
	}
	around := aroundOf(c.Peers)
	tell := func() *resource.Found {
		found := m.found(balancer.Mark, lb, around)
		found.Mark = item.Mark
		return &found
	}
	left, err := m.changes(c, item, lb, around, spec)
	if err != nil || len(left) == 0 {
		return tell(), err
	}
	const op = "change members"
	if left[0].wait != nil {
		return tell(), left[0].wait
	}
	if lb.Status != "ACTIVE" {
		return tell(), busy(op, item.Mark.Address, "load balancer %d is %s and takes no change; then: %s", lb.ID, lb.Status, left[0].what)
	}
	c.Say(item.Mark.Address, left[0].what)
	if err := left[0].do(ctx); err != nil {
		return tell(), fault(op+": "+left[0].what, item.Mark.Address, err, repeatable)
	}
	if len(left) > 1 {
		return tell(), busy(op, item.Mark.Address, "%s is under way; then: %s", left[0].what, left[1].what)
	}
	if lb, err = m.lbs.monitored(ctx, id); err != nil {
		return tell(), fault("read load balancer", item.Mark.Address, err, reading)
	}
	return tell(), nil
}

// wish is the condition in which a server's node is wanted.
type wish struct {
	server    resource.Address
	address   string
	condition string
}

// wishes are the nodes that a spec wants.
func wishes(c resource.Call, spec *resource.MembersSpec) ([]wish, error) {
	var list []wish
	add := func(servers []resource.Address, condition string) error {
		for _, a := range servers {
			peer, ok := c.Peers[a]
			address := cmp.Or(peer.Facts.PrivateIP, peer.Facts.PublicIP)
			if !ok || address == "" {
				return &resource.Error{Kind: resource.Invalid, Address: a, Message: fmt.Sprintf("%s is not there yet, or has no address", a)}
			}
			list = append(list, wish{a, address, condition})
		}
		return nil
	}
	if err := add(spec.Servers, enabled); err != nil {
		return nil, err
	}
	return list, add(spec.Draining, draining)
}

// changes are what is left to do, in this order: who comes, in which condition everybody is to be,
// who goes. In the phase of a switch in which the new ones only join, nobody leaves.
func (m members) changes(c resource.Call, item resource.Item, lb *lbView, around around, spec *resource.MembersSpec) ([]change, error) {
	wanted, err := wishes(c, spec)
	if err != nil {
		return nil, err
	}
	_, port := lb.target()
	var left []change
	var add, turn, keep []node
	for _, w := range wanted {
		i := slices.IndexFunc(lb.Nodes, func(n node) bool { return n.Address == w.address && n.Port == port })
		switch {
		case i < 0:
			add = append(add, node{Address: w.address, Port: port, Condition: w.condition, Type: "PRIMARY"})
			continue
		case lb.Nodes[i].Condition != w.condition:
			turn = append(turn, node{ID: lb.Nodes[i].ID, Condition: w.condition})
		}
		keep = append(keep, lb.Nodes[i])
	}
	if len(add) > 0 {
		left = append(left, change{what: "adding " + count(len(add), "node"), do: func(ctx context.Context) error { return m.add(ctx, lb, add) }})
	}
	leaving := m.leaving(item, lb, around, keep)
	if c.Phase == "attach" {
		leaving = nil
	}
	extras := lb.extras()
	live := slices.DeleteFunc(slices.Clone(leaving), func(n node) bool { return n.Condition != enabled })
	waiting := m.heirs(item, lb, keep, live)
	if waiting == nil && (extras.drain > 0 || extras.standby == attached) {
		for _, n := range live {
			turn = append(turn, node{ID: n.ID, Condition: draining})
		}
	}
	if len(turn) > 0 {
		left = append(left, change{what: conditions(turn), do: func(ctx context.Context) error { return m.turn(ctx, item, lb, turn) }})
	}
	switch {
	case waiting != nil:
		left = append(left, change{what: "removing " + count(len(leaving), "node"), wait: waiting})
	case extras.standby != attached:
		left = append(left, m.going(item, lb, leaving, extras.drain)...)
	}
	return left, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "a " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// conditions tells what a change of conditions does.
func conditions(nodes []node) string {
	var words []string
	for _, condition := range []string{enabled, draining} {
		n := 0
		for _, x := range nodes {
			if x.Condition == condition {
				n++
			}
		}
		if n > 0 {
			words = append(words, count(n, "node")+" "+strings.ToLower(condition))
		}
	}
	return strings.Join(words, ", ")
}

// leaving are the nodes of ours that are not to stay: those that were found as a server's, or are
// one now, or were noted when they were made. A node that somebody else put there is left alone.
func (m members) leaving(item resource.Item, lb *lbView, around around, keep []node) []node {
	known, own := map[string]bool{}, lb.ownNodes()
	if item.Have != nil {
		for _, member := range item.Have.Facts.Members {
			known[member.ID] = !member.Server.IsZero()
		}
	}
	return slices.DeleteFunc(slices.Clone(lb.Nodes), func(n node) bool {
		_, server := around[n.Address]
		stays := slices.ContainsFunc(keep, func(k node) bool { return k.ID == n.ID })
		return stays || !server && !known[strconv.Itoa(n.ID)] && !own[n.ID]
	})
}

// heirs refuses to let nodes go that answer, while none of those that are to take over is known to.
func (m members) heirs(item resource.Item, lb *lbView, keep, live []node) error {
	answers := func(n node) bool { return m.health(n, lb) == resource.Healthy }
	online := func(n node) bool { return n.Status == "ONLINE" }
	if len(keep) == 0 || slices.ContainsFunc(keep, answers) || !slices.ContainsFunc(live, online) {
		return nil
	}
	return busy("change members", item.Mark.Address, "none of the new members has proven healthy to the load balancer yet")
}

// going takes nodes out that have drained for as long as they may, ten at a time.
func (m members) going(item resource.Item, lb *lbView, leaving []node, seconds int) []change {
	var left []change
	for part := range slices.Chunk(leaving, mostDeleted) {
		c := change{what: "removing " + count(len(part), "node"), do: func(ctx context.Context) error {
			if err := m.lbs.removeNodes(ctx, lb.ID, part); err != nil {
				return err
			}
			for _, n := range part {
				m.drains.forget(n.ID)
				m.arrivals.forget(n.ID)
			}
			return nil
		}}
		for _, n := range part {
			if n.Condition == draining && time.Since(m.drains.note(n.ID)) < time.Duration(seconds)*time.Second {
				c.wait = busy("change members", item.Mark.Address, "open requests of %s have %ds to finish", count(len(part), "node"), seconds)
			}
		}
		left = append(left, c)
	}
	return left
}

// add makes nodes, all with one call, and notes that they are ours.
func (m members) add(ctx context.Context, lb *lbView, nodes []node) error {
	made, err := m.lbs.addNodes(ctx, lb.ID, nodes)
	if err != nil {
		return err
	}
	for _, n := range made {
		m.arrivals.note(n.ID)
	}
	return m.lbs.setMetadata(ctx, lb, map[string]string{nodesKey: lb.nodesNote(made)})
}

// turn changes the conditions of nodes, all with one call.
func (m members) turn(ctx context.Context, item resource.Item, lb *lbView, nodes []node) error {
	all, err := m.lbs.changeNodes(ctx, lb.ID, nodes)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		m.drains.forget(n.ID)
		if n.Condition == draining {
			m.drains.note(n.ID)
		}
	}
	if !all {
		return busy("change members", item.Mark.Address, "this load balancer changes one node at a time")
	}
	return nil
}

// remove takes our nodes out at once; the balancer itself stays.
func (m members) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := number(item)
		if err != nil {
			return nil, err
		}
		return persist(ctx, c, item.Mark.Address, patience, func() (*resource.Found, error) {
			return nil, m.empty(ctx, item, id, aroundOf(c.Peers))
		})
	})
}

// empty takes nodes of ours out of a balancer, ten at a time.
func (m members) empty(ctx context.Context, item resource.Item, id int, around around) error {
	const op = "remove members"
	lb, err := m.lbs.get(ctx, id)
	if err != nil {
		return deleted("read load balancer", item, err)
	}
	leaving := m.leaving(item, lb, around, nil)
	switch {
	case len(leaving) == 0:
		return nil
	case lb.Status != "ACTIVE":
		return busy(op, item.Mark.Address, "load balancer %d is %s and takes no change", lb.ID, lb.Status)
	}
	part := leaving[:min(len(leaving), mostDeleted)]
	if err := m.lbs.removeNodes(ctx, lb.ID, part); err != nil {
		return deleted(op, item, err)
	}
	if len(part) < len(leaving) {
		return busy(op, item.Mark.Address, "%s to be removed", count(len(leaving)-len(part), "node"))
	}
	return nil
}

func (m members) read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	id, err := strconv.Atoi(have.ID)
	if err != nil {
		return have, noID(have.Mark)
	}
	lb, err := m.lbs.monitored(ctx, id)
	if err != nil {
		return have, absent("read load balancer", have, err)
	}
	around := aroundOf(q.Peers)
	if len(around) == 0 {
		list, err := servers(m).list(ctx)
		if err != nil {
			return have, err
		}
		m.machines(resource.Query{Stack: have.Mark.Stack}, list, around)
	}
	mark := have.Mark
	mark.Address = resource.LoadBalancer(mark.Address.Name)
	return m.found(mark, lb, around), nil
}
