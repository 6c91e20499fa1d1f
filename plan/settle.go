package plan

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// settle sorts what is there into one record per address and what is beside it. Of several the one
// in the state is kept, else the one in service, else the newest generation, else the oldest thing.
func (r *refresh) settle() {
	inState := map[resource.Address]resource.Record{}
	maps.Copy(inState, r.memory.Records)
	serving := map[string]bool{}
	for _, rec := range r.kept {
		for _, m := range rec.Facts.Members {
			serving[m.ID] = true
		}
	}
	rank := func(rec resource.Record) int {
		state, remembered := inState[rec.Mark.Address]
		switch {
		case remembered && state.Mark == rec.Mark && (state.ID == rec.ID || state.ID == ""):
			return 0
		case rec.ID != "" && serving[rec.ID]:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(r.kept, func(a, b resource.Record) int {
		return cmp.Or(a.Mark.Address.Compare(b.Mark.Address), cmp.Compare(rank(a), rank(b)),
			-cmp.Compare(a.Mark.Generation, b.Mark.Generation), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	for _, rec := range r.kept {
		a := rec.Mark.Address
		if _, taken := r.have.Records[a]; !taken {
			r.have.Records[a] = rec
		} else if !rec.Announced {
			r.have.Extra = append(r.have.Extra, rec)
		}
	}
	for a := range r.have.Records {
		if gone, ok := r.have.Gone[a]; ok && gone.Mark.Generation <= r.have.Records[a].Mark.Generation {
			delete(r.have.Gone, a)
		}
	}
}

// hosts asks the hosts for what lives on them. What lived on a server that is gone is gone.
func (r *refresh) hosts(ctx context.Context) {
	var mine []resource.Record
	for _, rec := range r.remembered() {
		a := rec.Mark.Address
		if !hosted(a.Kind()) {
			continue
		}
		on, _ := carrierOf(rec)
		switch base, there := r.have.Records[on]; {
		case !there || base.Mark.Generation != rec.Mark.Generation:
			r.gone(rec)
		case base.Broken != "" && on.Kind() == resource.KindServer:
			r.have.Records[a] = rec // it cannot answer, and why is known
		default:
			mine = append(mine, rec)
		}
	}
	known := maps.Clone(r.have.Records)
	for _, rec := range mine {
		known[rec.Mark.Address] = rec
	}
	servers := hostsIn(known)
	if !r.options.Hosts || r.drivers.Hosts == nil || len(servers) == 0 {
		for _, rec := range mine {
			r.have.Records[rec.Mark.Address] = rec
		}
		return
	}
	listing, err := r.list(ctx, "", resource.Query{Stack: r.memory.Stack, Peers: servers})
	if err != nil {
		for _, rec := range mine {
			r.have.Records[rec.Mark.Address] = rec
			r.have.Unknown[rec.Mark.Address] = err.Error()
		}
		return
	}
	r.takeHosts(mine, listing)
}

// takeHosts lays what the hosts answered over what is remembered.
func (r *refresh) takeHosts(mine []resource.Record, listing resource.Listing) {
	found := map[resource.Mark]resource.Found{}
	for _, f := range listing.Found {
		found[f.Mark] = f
	}
	for _, u := range listing.Unknown {
		r.have.Unknown[u.Address] = u.Reason
	}
	for _, rec := range mine {
		a := rec.Mark.Address
		f, there := found[rec.Mark]
		_, unasked := r.have.Unknown[a]
		delete(found, rec.Mark)
		switch {
		case there:
			merged := observed(rec, f, "")
			merged.Announced = rec.Announced && !f.Ready
			r.have.Records[a] = merged
		case unasked, rec.Announced, a.Kind() == resource.KindRoute: // a route may be nowhere but in memory
			r.have.Records[a] = rec
		default:
			r.gone(rec)
		}
	}
	for _, mark := range slices.SortedFunc(maps.Keys(found), func(a, b resource.Mark) int {
		return cmp.Or(a.Address.Compare(b.Address), -cmp.Compare(a.Generation, b.Generation))
	}) {
		a := mark.Address
		on, _ := carrier(a, found[mark].Spec)
		base, there := r.have.Records[on]
		if _, taken := r.have.Records[a]; !taken && hosted(a.Kind()) && there && base.Mark.Generation == mark.Generation {
			r.have.Records[a] = observed(resource.Record{}, found[mark], "")
		}
	}
}

// hostsIn gives the facts that a list of hosts rests on: the servers whose Docker was begun or that
// nobody remembers, their Docker, the balancers and the routes (which are nowhere but in memory).
func hostsIn(records map[resource.Address]resource.Record) map[resource.Address]resource.Found {
	hosts := map[resource.Address]resource.Found{}
	for a, rec := range records {
		switch {
		case rec.ID == "":
		case a.Kind() == resource.KindLoadBalancer, a.Kind() == resource.KindRoute, a.Kind() == resource.KindCertificate:
			hosts[a] = rec.Found
		case a.Kind() == resource.KindServer && rec.Broken == "":
			docker, begun := records[resource.DockerOn(a.Name, a.Index)]
			if begun = begun && docker.Mark.Generation == rec.Mark.Generation; begun {
				hosts[docker.Mark.Address] = docker.Found
			}
			if begun || rec.Want == nil {
				hosts[a] = rec.Found
			}
		}
	}
	return hosts
}
