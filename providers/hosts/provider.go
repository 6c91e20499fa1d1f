// Package hosts is the provider for machines that exist already. It makes none and deletes none: to
// create a server is to take a machine of the provider block, to delete it is to let it go.
//
// The machine itself keeps the mark: one file in the stack's folder there, written in the call that
// takes it (mark.go). So what was taken is found again after any kill, and by who has lost the state.
// Nothing of the machine's own is changed: not its host keys, not its authorized keys, not its sshd.
package hosts

import (
	"context"
	"sync"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// Provider is the provider. Its zero value is ready for Configure.
type Provider struct {
	alias    string // the provider block's label, which every Found carries
	machines []machine
	pool     remote.Pool
}

// New makes a provider that is to be configured.
func New() resource.Provider { return &Provider{} }

// Create takes machines.
func (p *Provider) Create(ctx context.Context, c resource.Call) []resource.Result {
	return p.each(c, func(item resource.Item) (*resource.Found, error) { return p.take(ctx, c, item) })
}

// Update has nothing to change: a machine is as it is.
func (p *Provider) Update(ctx context.Context, c resource.Call) []resource.Result {
	return p.each(c, func(item resource.Item) (*resource.Found, error) {
		if item.Have == nil {
			return nil, &resource.Error{Kind: resource.Gone, Op: "update", Address: item.Mark.Address, Message: "it is not known"}
		}
		found, err := p.Read(ctx, resource.Query{Stack: c.Stack}, *item.Have)
		if err != nil {
			return nil, err
		}
		return &found, nil
	})
}

// Delete lets machines go.
func (p *Provider) Delete(ctx context.Context, c resource.Call) []resource.Result {
	return p.each(c, func(item resource.Item) (*resource.Found, error) { return nil, p.letGo(ctx, c, item) })
}

// Retire has nothing to do: what is kept for a stack is kept on its machines.
func (p *Provider) Retire(context.Context, resource.StackID) error { return nil }

// Catalog has the machines for sizes; they cost nothing here.
func (p *Provider) Catalog(context.Context) (resource.Catalog, error) {
	var c resource.Catalog
	for _, m := range p.machines {
		c.Sizes = append(c.Sizes, resource.Size{Name: m.name, Price: resource.Price{Known: true}})
	}
	return c, nil
}

// each does the same with every item of a call at once, and answers in their order.
func (p *Provider) each(c resource.Call, do func(resource.Item) (*resource.Found, error)) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	var working sync.WaitGroup
	for i, item := range c.Items {
		working.Go(func() {
			found, err := do(item)
			results[i] = resource.Result{Address: item.Mark.Address, Found: found, Err: fault(err, item.Mark.Address)}
		})
	}
	working.Wait()
	return results
}
