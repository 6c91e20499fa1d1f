package plan

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// historyMost is how many events an intent keeps.
const historyMost = 200

// A Ledger is a stack's memory while it is being worked on: every result of a call is entered here
// at once. It may be used by several goroutines.
type Ledger struct {
	mu      sync.Mutex
	memory  resource.Memory
	actor   string
	command string
	changes int64
}

// NewLedger opens a ledger on a memory with what was found laid over it. Neither is changed. Actor
// is who is named in the history.
func NewLedger(memory resource.Memory, have Have, actor string) *Ledger {
	l := &Ledger{memory: clone(memory), actor: actor}
	l.memory.Records = maps.Clone(have.Records)
	if l.memory.Records == nil {
		l.memory.Records = map[resource.Address]resource.Record{}
	}
	l.memory.Extra = slices.Clone(have.Extra)
	return l
}

// Memory is a copy of what is in the ledger now. The copy shares what is never changed in place.
func (l *Ledger) Memory() resource.Memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	return clone(l.memory)
}

// Edit lets the caller enter something of its own: outputs, retired providers.
func (l *Ledger) Edit(change func(*resource.Memory)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.memory)
	l.changes++
}

// Changes counts what was entered so far.
func (l *Ledger) Changes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

func clone(m resource.Memory) resource.Memory {
	m.Records = maps.Clone(m.Records)
	m.Extra = slices.Clone(m.Extra)
	m.Releases = maps.Clone(m.Releases)
	m.Outputs = maps.Clone(m.Outputs)
	m.Retired = slices.Clone(m.Retired)
	m.Providers = maps.Clone(m.Providers)
	m.Restores = maps.Clone(m.Restores)
	m.Intent = cloneIntent(m.Intent)
	return m
}

func cloneIntent(i resource.Intent) resource.Intent {
	i.Live, i.Releases, i.Switch = maps.Clone(i.Live), maps.Clone(i.Releases), maps.Clone(i.Switch)
	bad := map[string][]string{}
	for k, v := range i.Bad {
		bad[k] = slices.Clone(v)
	}
	scale := map[string]map[string]int{}
	for k, v := range i.Scale {
		scale[k] = maps.Clone(v)
	}
	i.Bad, i.Scale, i.History = bad, scale, slices.Clone(i.History)
	return i
}

// Begin takes over what a plan intends and remembers: its intent, its releases, its providers, and
// the wants that need no call.
func (l *Ledger) Begin(p *Plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.command = p.Command
	l.memory.Stack = p.Stack
	l.memory.Intent = cloneIntent(p.Intent)
	if l.memory.Releases == nil {
		l.memory.Releases = map[string]resource.ReleaseEntry{}
	}
	maps.Copy(l.memory.Releases, p.Releases)
	if len(p.Providers) > 0 {
		l.memory.Providers = maps.Clone(p.Providers)
	}
	for _, item := range p.Settled {
		if r, ok := l.memory.Records[item.Mark.Address]; ok && r.Mark == item.Mark {
			r.Want = item.Spec
			l.memory.Records[item.Mark.Address] = r
		}
	}
	for _, mark := range p.Forget {
		if r, ok := l.memory.Records[mark.Address]; ok && r.Mark == mark {
			delete(l.memory.Records, mark.Address)
		}
	}
	for _, s := range p.Steps {
		if s.Do == DoRetire && !slices.Contains(l.memory.Retired, s.Provider) {
			l.memory.Retired = append(l.memory.Retired, s.Provider)
		}
	}
	l.changes++
}

// Announce enters that creates are about to be sent. An older generation of an address moves aside.
func (l *Ledger) Announce(s Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, item := range s.Items {
		a := item.Mark.Address
		if old, ok := l.memory.Records[a]; ok && old.Mark.Generation != item.Mark.Generation && !old.Announced {
			if _, carried := carrierOf(old); !carried {
				l.memory.Extra = append(l.memory.Extra, old)
			}
		}
		found := resource.Found{Mark: item.Mark, Provider: s.Provider}
		if old := l.memory.Records[a]; old.Mark == item.Mark {
			found = old.Found // made in part by an earlier try
		}
		l.memory.Records[a] = resource.Record{Found: found, Announced: true, Want: item.Spec}
	}
	l.changes++
}

// Enter notes what a call found or made of one item, ended well or not. A create on a host that
// failed stays announced: it is made again. The phases of a switch beside its commit leave the route
// where it is.
func (l *Ledger) Enter(s Step, item resource.Item, found resource.Found, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := item.Mark.Address
	l.changes++
	old := l.memory.Records[a]
	if a.Kind() == resource.KindRoute && s.Phase != "" && s.Phase != PhaseCommit {
		old.Facts = found.Facts
		l.memory.Records[a] = old
		return
	}
	r := resource.Record{Found: found, Want: old.Want}
	if r.Provider == "" {
		r.Provider = s.Provider
	}
	if r.Mark.Generation == 0 {
		r.Mark = item.Mark
	}
	switch {
	case s.Do == DoCreate:
		r.Want = item.Spec
		r.Announced = !ended && hosted(a.Kind())
	case ended && item.Spec != nil:
		r.Want = item.Spec
	}
	l.memory.Records[a] = r
}

// Ready notes that something is in working order now.
func (l *Ledger) Ready(found resource.Found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.memory.Records[found.Mark.Address]; ok && r.Mark == found.Mark {
		if found.Provider == "" {
			found.Provider = r.Provider
		}
		r.Found, r.Announced = found, false
		l.memory.Records[found.Mark.Address] = r
		l.changes++
	}
}

// Delete drops a resource that is gone, and what lived on it.
func (l *Ledger) Delete(have resource.Found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := have.Mark.Address
	is := func(r resource.Record) bool { return r.Mark == have.Mark && r.ID == have.ID }
	l.memory.Extra = slices.DeleteFunc(l.memory.Extra, is)
	if r, ok := l.memory.Records[a]; ok && is(r) {
		delete(l.memory.Records, a)
		maps.DeleteFunc(l.memory.Records, func(x resource.Address, r resource.Record) bool {
			on, carried := carrierOf(r)
			return carried && on == a && r.Mark.Generation == have.Mark.Generation
		})
	}
	l.changes++
}

// Retired notes that a provider keeps nothing of the stack any more.
func (l *Ledger) Retired(provider string) {
	l.Edit(func(m *resource.Memory) {
		m.Retired = slices.DeleteFunc(m.Retired, func(s string) bool { return s == provider })
	})
}

// Phase enters a phase of a switch, to be committed before its call. With the commit the new group
// is live.
func (l *Ledger) Phase(balancer string, s resource.Switch, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := &l.memory.Intent
	if i.Switch == nil {
		i.Switch = map[string]resource.Switch{}
	}
	s.Since = now
	if under, ok := i.Switch[balancer]; ok && under.From == s.From && under.To == s.To {
		s.Since = under.Since
	}
	i.Switch[balancer] = s
	l.changes++
	if s.Phase != PhaseCommit || i.Live[balancer] == s.To {
		return
	}
	if i.Live == nil {
		i.Live = map[string]string{}
	}
	left := i.Releases[s.From]
	i.Live[balancer] = s.To
	what := EventSwitched
	switch {
	case s.Back:
		what = EventSwitchedBack
	case l.command == "rollback":
		what = EventRolledBack
	}
	if i.Bad == nil {
		i.Bad = map[string][]string{}
	}
	i.Bad[balancer] = slices.DeleteFunc(i.Bad[balancer], func(id string) bool { return id == s.Release })
	if what != EventSwitched && left != "" && left != s.Release {
		i.Bad[balancer] = union(i.Bad[balancer], []string{left})
	}
	if len(i.Bad[balancer]) == 0 {
		delete(i.Bad, balancer)
	}
	l.log(resource.Event{At: now, What: what, Balancer: balancer, Group: s.To, Release: s.Release})
}

// EndSwitch enters that a switch is over, one way or the other.
func (l *Ledger) EndSwitch(balancer string) {
	l.Edit(func(m *resource.Memory) { delete(m.Intent.Switch, balancer) })
}

// Log adds an event to the history; its actor is the ledger's where it has none.
func (l *Ledger) Log(e resource.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log(e)
	l.changes++
}

func (l *Ledger) log(e resource.Event) {
	if e.Actor == "" {
		e.Actor = l.actor
	}
	h := append(l.memory.Intent.History, e)
	l.memory.Intent.History = h[max(0, len(h)-historyMost):]
}

// Found is what the ledger knows of an address.
func (l *Ledger) Found(a resource.Address) (resource.Found, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.memory.Records[a]
	return r.Found, ok
}

// Peers gives the facts of every address that a call needs: what its specs name, what lives there
// already, and for a route its members and all servers, Docker and releases of its groups.
func (l *Ledger) Peers(items []resource.Item) map[resource.Address]resource.Found {
	l.mu.Lock()
	defer l.mu.Unlock()
	peers := map[resource.Address]resource.Found{}
	add := func(a resource.Address) {
		r, ok := l.memory.Records[a]
		if made := !r.Announced || r.ID != "" || r.Facts.Enrolled; ok && made {
			peers[a] = r.Found
		}
	}
	for _, item := range items {
		specs := []resource.Spec{item.Spec, l.memory.Records[item.Mark.Address].Want}
		if item.Have != nil {
			specs = append(specs, item.Have.Spec)
		}
		if on, ok := carrier(item.Mark.Address, specs...); ok {
			add(on)
			add(item.Mark.Address) // what an earlier try made
		}
		for _, s := range specs {
			for _, a := range resource.Refs(s) {
				add(a)
			}
			if route, ok := s.(*resource.RouteSpec); ok {
				add(resource.MembersOf(item.Mark.Address.Name))
				for a := range l.memory.Records {
					if a.Block == "group" && slices.Contains(route.Groups, a.Name) {
						add(a)
					}
				}
			}
		}
		for _, old := range l.memory.Extra {
			if on, ok := carrier(item.Mark.Address, specs...); ok && old.Mark.Address == on && old.Mark.Generation == item.Mark.Generation {
				peers[on] = old.Found // it is about what lived on that
			}
		}
	}
	return peers
}

// hosts gives the facts that lists of hosts rest on: every server that is there, and its Docker.
func (l *Ledger) hosts() map[resource.Address]resource.Found {
	l.mu.Lock()
	defer l.mu.Unlock()
	return hostsIn(l.memory.Records)
}
