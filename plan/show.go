package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// changes tells, address by address, what the moves do.
func (m *maker) changes() []Change {
	var list []Change
	for a, mv := range m.making {
		list = append(list, m.changeOf(m.verdicts[a], mv))
	}
	for a, moves := range m.removing {
		v := m.verdicts[a]
		for _, mv := range moves {
			if v != nil && v.act == Replace && mv.item.Mark == v.rec.Mark && mv.item.Have.ID == v.rec.ID {
				continue // told with the replacement
			}
			c := Change{Address: a, Action: Delete, Reason: mv.reason, Provider: mv.provider, Before: m.cost(a)}
			if i := slices.IndexFunc(m.extra[a], func(x resource.Record) bool { return x.Mark == mv.item.Mark && x.ID == mv.item.Have.ID }); i >= 0 {
				c.Before = m.costOfExtra(m.extra[a][i])
			}
			list = append(list, c)
		}
	}
	rolled := map[resource.Address]bool{}
	for _, mv := range m.more {
		a := mv.address()
		if mv.turn != nil || m.making[a] != nil || rolled[a] || a.Kind() == resource.KindRoute {
			continue
		}
		rolled[a] = true
		list = append(list, Change{Address: a, Action: Update, Reason: "servers leave while they are updated, and come back", Provider: mv.provider})
	}
	for name, moves := range m.phases {
		if len(moves) > 0 && slices.Contains(m.more, moves[0]) {
			list = append(list, m.switchChange(name, *moves[0].turn))
		}
	}
	slices.SortFunc(list, func(x, y Change) int {
		if c := x.Address.Compare(y.Address); c != 0 {
			return c
		}
		return int(rankOf(x.Action)) - int(rankOf(y.Action))
	})
	return list
}

func rankOf(a Action) int {
	return slices.Index([]Action{Create, Update, Replace, Switch, Delete, Keep}, a)
}

func (m *maker) switchChange(balancer string, s resource.Switch) Change {
	reason := fmt.Sprintf("%s -> %s", s.From, s.To)
	if s.Release != "" {
		reason += ", release " + s.Release
	}
	if s.Back {
		reason = "back: " + reason
	}
	if phases := remaining(s); phases[0] != PhaseTest && phases[0] != PhaseUndo {
		reason += ", from phase " + phases[0]
	}
	return Change{Address: resource.RouteOf(balancer), Action: Switch, Reason: reason,
		Fields: []FieldChange{{Name: "live", Before: quote(s.From), After: quote(s.To)}}}
}

func quote(s string) []byte { return fmt.Appendf(nil, "%q", s) }

func (m *maker) changeOf(v *verdict, mv *move) Change {
	c := Change{Address: v.want.Address, Action: v.act, Reason: v.reason, Provider: v.want.Provider, Note: v.want.Note}
	switch {
	case mv.do == DoWait:
		c.Reason = "is there, not in working order yet: waited for"
		if s := v.rec.Facts.Status; s != "" {
			c.Reason = fmt.Sprintf("is there, %s: waited for until it is in working order", s)
		}
		c.Note = ""
	case v.act == Create:
		c.Fields = shown(v.spec)
	default:
		for _, f := range v.diff.fields {
			if v.act == Replace || slices.Contains(v.changed, f.Name) {
				c.Fields = append(c.Fields, f)
			}
		}
	}
	if v.want.Provider != "" && v.want.Price != (resource.Price{}) {
		price := v.want.Price
		c.After = &price
	}
	if v.want.Provider != "" && v.exists && v.act != Create {
		c.Before = m.cost(v.want.Address)
	}
	return c
}

// shown lists the fields of something new that tell a reader more than its address does.
func shown(s resource.Spec) []FieldChange {
	var list []FieldChange
	for _, f := range resource.Fields(s) {
		switch {
		case f.IsZero() || f.Mode == resource.ModeMemo:
		case f.Name == "load_balancer" || f.Name == "group", f.Name == "server" || f.Name == "docker":
		default:
			list = append(list, FieldChange{Name: f.Name, After: f.Value})
		}
	}
	return list
}

// drift tells what changed behind our back, whether or not a step mends it.
func (m *maker) drift() []Change {
	var list []Change
	for a, rec := range m.in.Have.Gone {
		if on, carried := carrierOf(rec); carried {
			if base, there := m.in.Have.Records[on]; !there || base.Mark.Generation != rec.Mark.Generation {
				continue // it went with what it lived on
			}
		}
		list = append(list, Change{Address: a, Action: Delete, Reason: "gone", Provider: rec.Provider})
	}
	for a, v := range m.verdicts {
		c := Change{Address: a, Action: Update, Fields: v.diff.drift, Provider: v.want.Provider}
		if v.exists && a.Kind() != resource.KindCertificate { // those age, behind nobody's back
			c.Reason = firstOf(v.rec.Problem, v.rec.Broken)
		}
		if len(c.Fields) > 0 || c.Reason != "" {
			list = append(list, c)
		}
	}
	for _, x := range m.in.Have.Extra {
		if kept, ok := m.in.Have.Records[x.Mark.Address]; ok && kept.Mark == x.Mark {
			list = append(list, Change{Address: x.Mark.Address, Action: Create, Reason: fmt.Sprintf("is there twice: %s beside %s", x.ID, kept.ID), Provider: x.Provider})
		}
	}
	slices.SortFunc(list, func(x, y Change) int { return x.Address.Compare(y.Address) })
	return list
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// deferrals tells what waits until a group is idle, or until somebody names what is to be destroyed.
func (m *maker) deferrals() []Deferral {
	list := slices.Concat(m.in.Decision.Deferred, m.held)
	for a, v := range m.verdicts {
		if v.deferred == "" {
			continue
		}
		d := Deferral{Address: a, Reason: v.deferred}
		for _, f := range v.diff.fields {
			if v.act == Keep || !slices.Contains(v.changed, f.Name) {
				d.Fields = append(d.Fields, f)
			}
		}
		list = append(list, d)
	}
	slices.SortStableFunc(list, func(x, y Deferral) int { return x.Address.Compare(y.Address) })
	return list
}

// unknowns tells what could not be asked and is not replaced either.
func (m *maker) unknowns() []resource.Unknown {
	reasons := map[resource.Address]string{}
	for a, v := range m.verdicts {
		on, carried := carrier(a, v.want.Spec)
		if mended := carried && m.verdicts[on] != nil && slices.Contains(m.verdicts[on].changed, Broken); v.unknown != "" && !mended {
			reasons[a] = v.unknown
		}
	}
	for a, rec := range m.in.Have.Records {
		if _, carried := carrierOf(rec); m.verdicts[a] == nil && !carried {
			if reason := m.unknown(a, rec.Provider); reason != "" {
				reasons[a] = reason
			}
		}
	}
	var list []resource.Unknown
	for _, a := range slices.SortedFunc(maps.Keys(reasons), resource.Address.Compare) {
		list = append(list, resource.Unknown{Address: a, Reason: reasons[a]})
	}
	return list
}
