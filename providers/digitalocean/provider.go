// Package digitalocean is the provider for DigitalOcean, on godo: SSH keys, VPCs, droplets, cloud
// firewalls, load balancers and their members.
//
// Every thing of ours carries its mark from the very request that creates it: its name is the
// mark's encoding, and droplets carry the tag of their stack and that of their group as well. The
// provider keeps nothing of its own between calls but the catalogue and the numbers of the
// actions that create droplets. It makes every call once; godo's own retries, which repeat
// creates as well, are off. What a call was answered becomes one of resource's kinds of errors in
// errors.go, and the core decides what to do about it.
//
// One file holds one kind; the kind's four verbs are its keeper.
package digitalocean

import (
	"context"
	"fmt"
	"sync"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// Provider is the provider. Its zero value is ready for Configure.
type Provider struct {
	alias  string // the provider block's label, which every Found carries
	region string // the region of what names none
	api    *godo.Client

	account   *godo.Account // as it was at Configure
	catalogue catalogue
	births    births
	expected  expected
	known     keyring
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
	if p.api == nil {
		return nil, &resource.Error{Kind: resource.Unauthorized, Message: "provider digitalocean is not configured"}
	}
	switch kind {
	case resource.KindSSHKey:
		return keys{p}, nil
	case resource.KindNetwork:
		return networks{p}, nil
	case resource.KindServer:
		return servers{p}, nil
	case resource.KindFirewall:
		return firewalls{p}, nil
	case resource.KindLoadBalancer:
		return balancers{p}, nil
	case resource.KindMembers:
		return members{p}, nil
	}
	return nil, &resource.Error{Kind: resource.Invalid, Message: fmt.Sprintf("digitalocean has no resources of kind %q", kind)}
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
	return do(k, telling(ctx, c, first), c)
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

// atOnce is how many of a call's items are worked on at a time, where the API takes them one by
// one.
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

// peer gives the cloud's id of an address that a spec names.
func peer(c resource.Call, a resource.Address) (string, error) {
	found, ok := c.Peers[a]
	if !ok || found.ID == "" {
		return "", &resource.Error{Kind: resource.Invalid, Address: a, Message: fmt.Sprintf("%s is not there yet", a)}
	}
	return found.ID, nil
}

// births remembers which action creates a droplet, so that a creation that failed can be told
// with its cause. It is safe for concurrent use.
type births struct{ actions sync.Map }

func (b *births) note(droplet, action int) { b.actions.Store(droplet, action) }

func (b *births) action(droplet int) (int, bool) {
	v, ok := b.actions.Load(droplet)
	if !ok {
		return 0, false
	}
	return v.(int), true
}
