// Package rackspace is the provider for Rackspace's classic public cloud: SSH keys and Cloud
// Servers on gophercloud, and Cloud Load Balancers with their nodes on a client of its own, since
// gophercloud has none.
//
// Every thing of ours carries its mark from the very request that creates it: in its name, and,
// where it has any, in its metadata. Rackspace takes one change of a load balancer at a time and
// is busy with it for a while; so an update makes one change, waits a little, reads anew what is
// left to do, and so on; what it cannot do in the time of a call it answers as busy. So it matters
// not who made a change before, or whether it was interrupted.
//
// One file holds one kind; the kind's four verbs are its keeper.
package rackspace

import (
	"context"
	"fmt"
	"sync"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// Provider is the provider. Its zero value is ready for Configure.
type Provider struct {
	alias   string // the provider block's label, which every Found carries
	region  string // where it works; upper case
	regions []string

	compute *gophercloud.ServiceClient
	lbs     *lbClient

	catalogue catalogue
	drains    moments // since when nodes drain
	arrivals  moments // since when nodes are there
}

// New makes a provider that is to be configured.
func New() resource.Provider { return &Provider{} }

// keeper does what there is to do with resources of one kind.
type keeper interface {
	create(context.Context, resource.Call) []resource.Result
	update(context.Context, resource.Call) []resource.Result
	remove(context.Context, resource.Call) []resource.Result
	read(context.Context, resource.Query, resource.Found) (resource.Found, error)
}

// keeper gives the keeper of a kind.
func (p *Provider) keeper(kind resource.Kind) (keeper, error) {
	if p.compute == nil {
		return nil, &resource.Error{Kind: resource.Unauthorized, Message: "provider rackspace is not configured"}
	}
	switch kind {
	case resource.KindSSHKey:
		return keys{p}, nil
	case resource.KindServer:
		return servers{p}, nil
	case resource.KindLoadBalancer:
		return balancers{p}, nil
	case resource.KindMembers:
		return members{p}, nil
	}
	return nil, unsupported(resource.Address{}, kind)
}

// unsupported is the answer to a wish for what Rackspace has not, or not in a way that fits.
func unsupported(a resource.Address, kind resource.Kind) error {
	e := &resource.Error{Kind: resource.Invalid, Address: a, Message: fmt.Sprintf("rackspace has no resources of kind %q", kind)}
	switch kind {
	case resource.KindFirewall:
		e.Message, e.Hint = "Rackspace's Cloud Servers have no firewall in front of them", "take the block out, and close ports on the servers themselves"
	case resource.KindNetwork:
		e.Message, e.Hint = "provider rackspace makes no networks", "take the block out: every server is on Rackspace's ServiceNet, where the load balancer reaches it"
	}
	return e
}

// dispatch hands a call to the keeper of its kind.
func (p *Provider) dispatch(ctx context.Context, c resource.Call, do func(keeper, context.Context, resource.Call) []resource.Result) []resource.Result {
	if len(c.Items) == 0 {
		return nil
	}
	first := c.Items[0].Mark.Address
	k, err := p.keeper(first.Kind())
	if err != nil {
		return resource.Fail(c, err)
	}
	telling := plugins.Telling(ctx, func(line string) { c.Say(first, line) })
	return do(k, telling, c)
}

// Create makes what the call's items want.
func (p *Provider) Create(ctx context.Context, c resource.Call) []resource.Result {
	return p.dispatch(ctx, c, keeper.create)
}

// Update brings what is there to what is wanted.
func (p *Provider) Update(ctx context.Context, c resource.Call) []resource.Result {
	return p.dispatch(ctx, c, keeper.update)
}

// Delete removes resources.
func (p *Provider) Delete(ctx context.Context, c resource.Call) []resource.Result {
	return p.dispatch(ctx, c, keeper.remove)
}

// Read returns one resource anew.
func (p *Provider) Read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	k, err := p.keeper(have.Mark.Address.Kind())
	if err != nil {
		return resource.Found{}, err
	}
	return k.read(ctx, q, have)
}

// Retire has nothing to do: what is kept for a stack is kept on its resources.
func (p *Provider) Retire(context.Context, resource.StackID) error { return nil }

// atOnce is how many of a call's items are worked on at a time.
const atOnce = 8

// each does the same with every item of a call, a few at a time, and answers in their order.
func each(c resource.Call, do func(resource.Item) (*resource.Found, error)) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	turns := make(chan struct{}, atOnce)
	var working sync.WaitGroup
	for i, item := range c.Items {
		turns <- struct{}{}
		working.Go(func() {
			defer func() { <-turns }()
			found, err := do(item)
			results[i] = resource.Result{Address: item.Mark.Address, Found: found, Err: err}
		})
	}
	working.Wait()
	return results
}
