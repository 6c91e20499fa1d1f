package digitalocean

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// around is what a resource's own answer does not say and others do: whose the ids are that it
// names. A nil map means that this is not known, and what rests on it is not observed.
type around struct {
	networks  map[string]resource.Address
	balancers map[string]resource.Address
	servers   map[int]sighting

	certificates map[string]string // names by id
	health       health
}

// sighting is a droplet of ours. While a server is replaced there are two for its address.
type sighting struct {
	mark   resource.Mark
	newest bool
}

// aroundOf knows what a call's peers tell.
func aroundOf(peers map[resource.Address]resource.Found) around {
	a := around{networks: map[string]resource.Address{}, balancers: map[string]resource.Address{}, servers: map[int]sighting{}}
	for address, found := range peers {
		switch address.Kind() {
		case resource.KindNetwork:
			a.networks[found.ID] = address
		case resource.KindLoadBalancer:
			a.balancers[found.ID] = address
		case resource.KindServer:
			if id, err := strconv.Atoi(found.ID); err == nil {
				a.servers[id] = sighting{found.Mark, true}
			}
		}
	}
	return a
}

// seen is everything that one List asked for.
type seen struct {
	keys      []godo.Key
	networks  []*godo.VPC
	droplets  []godo.Droplet
	firewalls []godo.Firewall
	balancers []godo.LoadBalancer

	certificates map[string]string // names by id, where a balancer of ours uses any
	health       health
}

// List asks once for each kind, all at the same time.
func (p *Provider) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	if _, err := p.keeper(resource.KindServer); err != nil {
		return resource.Listing{}, err
	}
	asked := func(kinds ...resource.Kind) bool {
		return len(q.Only) == 0 || slices.ContainsFunc(kinds, func(k resource.Kind) bool { return slices.Contains(q.Only, k) })
	}
	_, known := anyServer(q.Peers)
	s, err := p.look(ctx, map[string]func(context.Context, *seen) error{
		"keys": when(asked(resource.KindSSHKey), func(ctx context.Context, s *seen) (err error) {
			s.keys, err = keys{p}.list(ctx)
			return err
		}),
		"networks": when(asked(resource.KindNetwork), func(ctx context.Context, s *seen) (err error) {
			s.networks, err = networks{p}.list(ctx)
			return err
		}),
		"droplets": when(asked(resource.KindServer) || (asked(resource.KindMembers) && !known), func(ctx context.Context, s *seen) (err error) {
			s.droplets, err = servers{p}.list(ctx, q)
			return err
		}),
		"firewalls": when(asked(resource.KindFirewall), func(ctx context.Context, s *seen) (err error) {
			s.firewalls, err = firewalls{p}.list(ctx)
			return err
		}),
		"balancers": when(asked(resource.KindLoadBalancer, resource.KindMembers), func(ctx context.Context, s *seen) (err error) {
			if s.balancers, err = (balancers{p}).list(ctx); err != nil {
				return err
			}
			of := ofStack(s.balancers, q)
			if len(q.Only) == 0 { // somebody looks, rather than waits
				s.health = balancers{p}.measure(ctx, of)
			}
			s.certificates, err = balancers{p}.lookUpCertificates(ctx, of...)
			return err
		}),
	})
	if err != nil {
		return resource.Listing{}, err
	}
	l := p.listing(ctx, q, s)
	l.Found = slices.DeleteFunc(l.Found, func(f resource.Found) bool { return !asked(f.Mark.Address.Kind()) })
	return l, nil
}

func when(condition bool, do func(context.Context, *seen) error) func(context.Context, *seen) error {
	if !condition {
		return nil
	}
	return do
}

// anyServer finds a server among peers.
func anyServer(peers map[resource.Address]resource.Found) (resource.Address, bool) {
	for a := range peers {
		if a.Kind() == resource.KindServer {
			return a, true
		}
	}
	return resource.Address{}, false
}

// look makes the requests at the same time. If one fails, the answer is that error: half a list
// would make what is missing look gone.
func (p *Provider) look(ctx context.Context, requests map[string]func(context.Context, *seen) error) (*seen, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &seen{}
	var working sync.WaitGroup
	var once sync.Once
	var first error
	for _, request := range requests {
		if request == nil {
			continue
		}
		working.Go(func() {
			if err := request(ctx, s); err != nil {
				once.Do(func() {
					first = err
					cancel()
				})
			}
		})
	}
	working.Wait()
	return s, first
}

// listing makes what was seen the stack's resources.
func (p *Provider) listing(ctx context.Context, q resource.Query, s *seen) resource.Listing {
	var found []resource.Found
	a := s.around(q)
	for _, k := range s.keys {
		if m, ok := ours(k.Name, q, resource.KindSSHKey); ok {
			found = append(found, keys{p}.found(m, k))
		}
	}
	for _, v := range s.networks {
		if m, ok := ours(v.Name, q, resource.KindNetwork); ok {
			found = append(found, networks{p}.found(m, v))
		}
	}
	found = append(found, p.serversFound(ctx, q, s.droplets, a)...)
	for i := range s.firewalls {
		if m, ok := ours(s.firewalls[i].Name, q, resource.KindFirewall); ok {
			found = append(found, firewalls{p}.found(m, &s.firewalls[i], a))
		}
	}
	for i := range s.balancers {
		if m, ok := ours(s.balancers[i].Name, q, resource.KindLoadBalancer); ok {
			found = append(found, balancers{p}.found(m, &s.balancers[i], a), members{p}.found(m, &s.balancers[i], a))
		}
	}
	slices.SortFunc(found, func(a, b resource.Found) int { return a.Mark.Address.Compare(b.Mark.Address) })
	return resource.Listing{Found: found}
}

// ofStack are the balancers that a query asks for.
func ofStack(list []godo.LoadBalancer, q resource.Query) []godo.LoadBalancer {
	return slices.DeleteFunc(slices.Clone(list), func(lb godo.LoadBalancer) bool {
		_, ok := ours(lb.Name, q, resource.KindLoadBalancer)
		return !ok
	})
}

// latestBirths is how many droplets that are late to be born are asked why, in one List.
const latestBirths = 5

// serversFound are the stack's droplets. One that takes unusually long to become active is asked
// whether its creation has failed.
func (p *Provider) serversFound(ctx context.Context, q resource.Query, droplets []godo.Droplet, a around) []resource.Found {
	var found []resource.Found
	late := 0
	for i := range droplets {
		m, ok := ours(droplets[i].Name, q, resource.KindServer)
		if !ok {
			continue
		}
		f := servers{p}.found(m, &droplets[i], a)
		if droplets[i].Status == "new" && time.Since(f.Created) > lateBirth && late < latestBirths {
			late++
			f.Problem = servers{p}.miscarried(ctx, droplets[i].ID)
		}
		found = append(found, f)
	}
	return found
}

// around is what the things seen tell about each other, and the query's peers where a kind was
// not asked for.
func (s *seen) around(q resource.Query) around {
	a := aroundOf(q.Peers)
	if s.networks == nil && len(a.networks) == 0 {
		a.networks = nil
	}
	for _, v := range s.networks {
		if m, ok := ours(v.Name, q, resource.KindNetwork); ok {
			a.networks[v.ID] = m.Address
		}
	}
	a.certificates, a.health = s.certificates, s.health
	if s.balancers == nil && len(a.balancers) == 0 {
		a.balancers = nil
	}
	for _, lb := range s.balancers {
		if m, ok := ours(lb.Name, q, resource.KindLoadBalancer); ok {
			a.balancers[lb.ID] = m.Address
		}
	}
	if s.droplets != nil {
		a.servers = sightings(q, s.droplets)
	}
	return a
}

// sightings finds the droplets of ours and, for each address, the newest generation.
func sightings(q resource.Query, droplets []godo.Droplet) map[int]sighting {
	newest := map[resource.Mark]int{} // by mark without its generation
	all := map[int]sighting{}
	for _, d := range droplets {
		if m, ok := ours(d.Name, q, resource.KindServer); ok {
			all[d.ID] = sighting{mark: m}
			n := m.Generation
			m.Generation = 0
			newest[m] = max(newest[m], n)
		}
	}
	for id, s := range all {
		of := s.mark
		of.Generation = 0
		s.newest = s.mark.Generation == newest[of]
		all[id] = s
	}
	return all
}
