package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// Make compares what is wanted with what is there and orders the difference into steps. It is
// pure. An error means that the wants contradict themselves.
func Make(in Input) (*Plan, error) {
	m, err := newMaker(in)
	if err != nil {
		return nil, err
	}
	if err := m.judge(); err != nil {
		return nil, err
	}
	m.makings()
	m.rolls()
	m.switches()
	m.removals()
	m.keepTargets()
	m.mourn()
	m.strange()
	steps, err := m.steps()
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Format: Format, Stack: in.Memory.Stack, Serial: in.Serial, Made: in.Now, Command: in.Command,
		Steps: steps, Settled: m.settled(), Forget: m.forgotten(), Intent: in.Decision.Intent, Providers: in.Providers, Destroy: in.Destroy,
		Changes: m.changes(), Drift: m.drift(), Deferred: m.deferrals(), Unknown: m.unknowns(), Notes: m.notes,
		Prices: m.prices(), Data: m.destroyed(),
	}
	if in.Destroy {
		p.Intent = resource.Intent{History: in.Memory.Intent.History}
	}
	p.Releases = m.documents(p)
	return p, nil
}

// maker is the work on one Plan.
type maker struct {
	in        Input
	wants     map[resource.Address]Want
	order     []resource.Address // wants, what others rest on first
	groups    map[string]Group
	live      map[string]bool // groups that traffic depends on
	extra     map[resource.Address][]resource.Record
	verdicts  map[resource.Address]*verdict
	making    map[resource.Address]*move    // the create, update or wait of an address
	removing  map[resource.Address][]*move  // the deletes of its generations
	more      []*move                       // members in between, phases of switches
	phases    map[string][]*move            // of them, a balancer's phases in order
	tail      map[string]*move              // of them, the last that sets a balancer's members
	left      map[string][]resource.Address // servers that left a balancer's members for good
	settledIn map[resource.Address]*move    // when a rolling has brought a replaced server's successor in
	notes     []string
	held      []Deferral // removals that wait
}

func newMaker(in Input) (*maker, error) {
	m := &maker{
		in: in, wants: map[resource.Address]Want{}, groups: map[string]Group{}, extra: map[resource.Address][]resource.Record{},
		verdicts: map[resource.Address]*verdict{}, making: map[resource.Address]*move{}, removing: map[resource.Address][]*move{},
		phases: map[string][]*move{}, tail: map[string]*move{}, left: map[string][]resource.Address{}, settledIn: map[resource.Address]*move{}, notes: slices.Clone(in.Decision.Notes),
	}
	for _, x := range in.Have.Extra {
		m.extra[x.Mark.Address] = append(m.extra[x.Mark.Address], x)
	}
	if in.Destroy {
		return m, nil
	}
	m.live = liveGroups(in)
	for _, g := range in.Groups {
		m.groups[g.Name] = g
	}
	for _, w := range in.Wants {
		if _, twice := m.wants[w.Address]; twice {
			return nil, fmt.Errorf("%s is wanted twice", w.Address)
		}
		if w.Spec == nil || w.Spec.Kind() != w.Address.Kind() {
			return nil, fmt.Errorf("%s: its spec is of another kind", w.Address)
		}
		m.wants[w.Address] = w
	}
	return m, nil
}

// sortWants orders the wants so that each comes after what it rests on. A cycle is an error that
// names it.
func (m *maker) sortWants() ([]resource.Address, error) {
	const (
		open = 1
		done = 2
	)
	mark := map[resource.Address]int{}
	var path []string
	var visit func(a resource.Address) error
	visit = func(a resource.Address) error {
		switch mark[a] {
		case done:
			return nil
		case open:
			start := slices.Index(path, a.String())
			return fmt.Errorf("cycle: %s", strings.Join(append(path[start:], a.String()), " needs "))
		}
		mark[a] = open
		path = append(path, a.String())
		for _, d := range m.deps(m.wants[a]) {
			if err := visit(d); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		mark[a] = done
		m.order = append(m.order, a)
		return nil
	}
	for _, a := range slices.SortedFunc(maps.Keys(m.wants), resource.Address.Compare) {
		if err := visit(a); err != nil {
			return nil, err
		}
	}
	return m.order, nil
}

// settled lists the wants that are remembered without a call: what differs from the record only in
// fields that are never compared, or was found and not remembered.
func (m *maker) settled() []resource.Item {
	var items []resource.Item
	for _, a := range m.order {
		v := m.verdicts[a]
		if v.act != Keep || !v.exists || v.unknown != "" || v.rec.Announced {
			continue
		}
		spec := v.want.Spec
		if v.deferred != "" {
			if v.rec.Want == nil {
				continue
			}
			spec = resource.Clone(v.rec.Want)
			for _, f := range resource.Fields(v.want.Spec) {
				if f.Mode == resource.ModeMemo {
					resource.CopyField(spec, v.want.Spec, f.Name)
				}
			}
		}
		if !sameSpec(spec, v.rec.Want) {
			items = append(items, resource.Item{Mark: v.rec.Mark, Spec: spec})
		}
	}
	slices.SortFunc(items, func(a, b resource.Item) int { return a.Mark.Address.Compare(b.Mark.Address) })
	return items
}

// forgotten lists creates that were announced, are surely not there, and that nobody wants any
// more.
func (m *maker) forgotten() []resource.Mark {
	var marks []resource.Mark
	for a, rec := range m.in.Have.Records {
		if rec.Announced && rec.ID == "" && m.verdicts[a] == nil && m.unknown(a, rec.Provider) == "" {
			marks = append(marks, rec.Mark)
		}
	}
	slices.SortFunc(marks, func(a, b resource.Mark) int { return a.Address.Compare(b.Address) })
	return marks
}

// documents collects the releases that the plan's intent and steps name.
func (m *maker) documents(p *Plan) map[string]resource.ReleaseEntry {
	docs := map[string]resource.ReleaseEntry{}
	add := func(id string) {
		if r, ok := m.release(id); ok {
			docs[id] = r
		}
	}
	for _, id := range p.Intent.Releases {
		add(id)
	}
	for _, s := range p.Steps {
		for _, id := range s.Releases {
			add(id)
		}
	}
	if len(docs) == 0 {
		return nil
	}
	return docs
}

func (m *maker) release(id string) (resource.ReleaseEntry, bool) {
	if r, ok := m.in.Releases[id]; ok {
		return r, true
	}
	r, ok := m.in.Memory.Releases[id]
	return r, ok
}
