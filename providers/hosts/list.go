package hosts

import (
	"context"
	"slices"
	"sync"

	"github.com/cloudship/cloudship/resource"
)

// List asks every machine for its marks, all at once. A machine that does not answer makes what is
// remembered of it unknown. Where nothing is remembered, whether it is the stack's must be known.
func (p *Provider) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	if p.alias == "" {
		return resource.Listing{}, &resource.Error{Kind: resource.Unauthorized, Message: "provider hosts is not configured"}
	}
	if len(q.Only) > 0 && !slices.Contains(q.Only, resource.KindServer) {
		return resource.Listing{}, nil
	}
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		listing resource.Listing
		failed  error
	)
	for _, m := range p.machines {
		wait.Go(func() {
			found, err := p.marked(ctx, q, m)
			mu.Lock()
			defer mu.Unlock()
			listing.Found = append(listing.Found, found...)
			if err == nil {
				return
			}
			for _, a := range on(m, q.Peers) {
				listing.Unknown = append(listing.Unknown, resource.Unknown{Address: a, Reason: err.Error()})
			}
			if q.Stack == "" {
				failed = final(err, resource.Address{})
			}
		})
	}
	wait.Wait()
	slices.SortFunc(listing.Found, func(a, b resource.Found) int { return a.Mark.Address.Compare(b.Mark.Address) })
	return listing, failed
}

// marked finds what a machine is to the stacks that are asked for.
func (p *Provider) marked(ctx context.Context, q resource.Query, m machine) ([]resource.Found, error) {
	host, err := p.reach(ctx, m)
	if err != nil {
		return nil, err
	}
	marks, err := marksOn(ctx, host)
	if err != nil {
		return nil, err
	}
	var found []resource.Found
	for _, t := range marks {
		if q.Wants(t.Mark) {
			found = append(found, p.found(m, t))
		}
	}
	return found, nil
}

// on lists the servers that are remembered to be a machine.
func on(m machine, peers map[resource.Address]resource.Found) []resource.Address {
	var list []resource.Address
	for a, f := range peers {
		if f.ID == m.id && a.Kind() == resource.KindServer {
			list = append(list, a)
		}
	}
	return list
}
