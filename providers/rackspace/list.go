package rackspace

import (
	"context"
	"slices"
	"sync"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	nova "github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/cloudship/cloudship/resource"
)

// around tells whose an address is, by the addresses of all servers of ours.
type around map[string]sighting

// sighting is a server of ours. While a server is replaced there are two for its address in the
// stack.
type sighting struct {
	mark   resource.Mark
	newest bool
}

// aroundOf knows what a call's peers tell.
func aroundOf(peers map[resource.Address]resource.Found) around {
	a := around{}
	for address, found := range peers {
		if address.Kind() == resource.KindServer {
			a.add(found, true)
		}
	}
	return a
}

func (a around) add(f resource.Found, newest bool) {
	for _, ip := range []string{f.Facts.PrivateIP, f.Facts.PublicIP} {
		if ip != "" {
			a[ip] = sighting{f.Mark, newest}
		}
	}
}

// seen is everything that one List asked for.
type seen struct {
	keys      []keypairs.KeyPair
	servers   []nova.Server
	balancers []lbView
}

// List asks for every kind at the same time: key pairs and servers by one call each, as long as
// they fit on a page, and balancers by one call and a few for each one of ours.
func (p *Provider) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	if _, err := p.keeper(resource.KindServer); err != nil {
		return resource.Listing{}, err
	}
	asked := func(kind resource.Kind) bool { return len(q.Only) == 0 || slices.Contains(q.Only, kind) }
	s := &seen{}
	var requests []func(context.Context) error
	if asked(resource.KindSSHKey) {
		requests = append(requests, func(ctx context.Context) (err error) {
			s.keys, err = keys{p}.list(ctx)
			return err
		})
	}
	around := aroundOf(q.Peers)
	if asked(resource.KindServer) || asked(resource.KindMembers) && len(around) == 0 {
		requests = append(requests, func(ctx context.Context) (err error) {
			s.servers, err = servers{p}.list(ctx)
			return err
		})
	}
	if asked(resource.KindLoadBalancer) || asked(resource.KindMembers) {
		requests = append(requests, func(ctx context.Context) (err error) {
			s.balancers, err = balancers{p}.list(ctx, q, asked(resource.KindLoadBalancer))
			return err
		})
	}
	if err := atOnceOrNone(ctx, requests); err != nil {
		return resource.Listing{}, err
	}
	l := p.listing(q, s, around)
	l.Found = slices.DeleteFunc(l.Found, func(f resource.Found) bool { return !asked(f.Mark.Address.Kind()) })
	return l, nil
}

// atOnceOrNone makes the requests at the same time. If one fails, the answer is its error: half a
// list would make what is missing look gone.
func atOnceOrNone(ctx context.Context, requests []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var working sync.WaitGroup
	var once sync.Once
	var first error
	for _, request := range requests {
		working.Go(func() {
			if err := request(ctx); err != nil {
				once.Do(func() {
					first = err
					cancel()
				})
			}
		})
	}
	working.Wait()
	return first
}

// listing makes what was seen the stack's resources.
func (p *Provider) listing(q resource.Query, s *seen, around around) resource.Listing {
	var found []resource.Found
	for _, k := range s.keys {
		if m, ok := ours("", markOfKey(k.Name), q, resource.KindSSHKey); ok {
			found = append(found, keys{p}.found(m, k))
		}
	}
	found = append(found, p.machines(q, s.servers, around)...)
	for i := range s.balancers {
		lb := &s.balancers[i]
		if m, ok := ours(lb.note(markKey), lb.Name, q, resource.KindLoadBalancer); ok {
			found = append(found, balancers{p}.found(m, lb), members{p}.found(m, lb, around))
		}
	}
	slices.SortFunc(found, func(a, b resource.Found) int { return a.Mark.Address.Compare(b.Mark.Address) })
	return resource.Listing{Found: found}
}

// machines are the servers of the stack; around learns of their addresses.
func (p *Provider) machines(q resource.Query, list []nova.Server, around around) []resource.Found {
	newest := map[resource.Address]int{}
	var found []resource.Found
	for i := range list {
		if m, ok := ours(list[i].Metadata[markKey], list[i].Name, q, resource.KindServer); ok {
			found = append(found, servers{p}.found(m, &list[i]))
			newest[m.Address] = max(newest[m.Address], m.Generation)
		}
	}
	for _, f := range found {
		around.add(f, f.Mark.Generation == newest[f.Mark.Address])
	}
	return found
}
