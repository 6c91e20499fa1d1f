package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// A move is what becomes a step or an item of one: one thing that is done to one address.
type move struct {
	do       Do
	phase    string
	provider string
	item     resource.Item
	reason   string
	detail   string // tells moves of one kind on one address apart
	needs    map[*move]bool
	way      []Step // OnFailure
	outcome  Outcome
	turn     *resource.Switch
	tag      bool // may be one of a delete by tag
}

func (v *move) need(others ...*move) {
	for _, o := range others {
		if o != nil && o != v {
			if v.needs == nil {
				v.needs = map[*move]bool{}
			}
			v.needs[o] = true
		}
	}
}

func (v *move) address() resource.Address { return v.item.Mark.Address }

// id names the move for ever: what is done to which address, and what tells it from others.
func (v *move) id() string {
	a := v.address()
	if v.turn != nil {
		return fmt.Sprintf("switch load_balancer.%s: %s", a.Name, v.phase)
	}
	id := fmt.Sprintf("%s %s", v.do, a)
	if v.detail != "" {
		id += " " + v.detail
	}
	return id
}

// makings turns verdicts into moves, and draws the edges of creation.
func (m *maker) makings() {
	for _, a := range m.order {
		v := m.verdicts[a]
		if m.underWay(a) && !v.fresh() {
			continue
		}
		if mv := m.moveOf(v); mv != nil {
			m.making[a] = mv
		}
	}
	anchors := m.anchors()
	for a, mv := range m.making {
		for _, d := range m.deps(m.wants[a]) {
			mv.need(anchors(d)...)
		}
	}
}

// moveOf is the move that carries a verdict out, or nil.
func (m *maker) moveOf(v *verdict) *move {
	a := v.want.Address
	mv := &move{provider: v.want.Provider, reason: v.reason, item: resource.Item{
		Mark: resource.Mark{Stack: m.in.Memory.Stack, Address: a, Generation: max(v.gen, 1)}, Spec: v.spec}}
	switch {
	case v.fresh():
		mv.do = DoCreate
	case v.act == Update:
		mv.do = DoUpdate
		found := v.rec.Found
		mv.item.Have, mv.item.Changed = &found, v.changed
		mv.item.Mark = found.Mark
	case v.wait && v.unknown == "":
		mv.do = DoWait
		found := v.rec.Found
		mv.item.Have, mv.item.Mark = &found, found.Mark
	default:
		return nil
	}
	if a.Kind() == resource.KindRelease {
		mv.outcome = Refused
	}
	if a.Kind() == resource.KindRoute && mv.do == DoUpdate {
		mv.phase = PhaseCommit // writes what is live already to its hosts again
	}
	return mv
}

// anchors gives a function that tells the moves which must be done before an address is in order:
// its own, else those of what it rests on.
func (m *maker) anchors() func(resource.Address) []*move {
	known := map[resource.Address][]*move{}
	var of func(a resource.Address) []*move
	of = func(a resource.Address) []*move {
		if mv := m.making[a]; mv != nil {
			return []*move{mv}
		}
		if list, ok := known[a]; ok {
			return list
		}
		set := map[*move]bool{}
		for _, d := range m.deps(m.wants[a]) {
			for _, mv := range of(d) {
				set[mv] = true
			}
		}
		known[a] = slices.Collect(maps.Keys(set))
		return known[a]
	}
	return of
}

// all lists every move in a fixed order: makings by kind, then what lies in between, then removals.
func (m *maker) all() []*move {
	rank := map[resource.Kind]int{}
	for i, k := range resource.Kinds() {
		rank[k] = i
	}
	var made, gone []*move
	for _, mv := range m.making {
		made = append(made, mv)
	}
	for _, list := range m.removing {
		gone = append(gone, list...)
	}
	byKind := func(sign int) func(x, y *move) int {
		return func(x, y *move) int {
			return cmp.Or(
				sign*cmp.Compare(rank[x.address().Kind()], rank[y.address().Kind()]),
				x.address().Compare(y.address()),
				cmp.Compare(x.item.Mark.Generation, y.item.Mark.Generation),
				cmp.Compare(x.id(), y.id()))
		}
	}
	slices.SortFunc(made, byKind(1))
	slices.SortFunc(gone, byKind(-1))
	return slices.Concat(made, m.more, gone)
}
