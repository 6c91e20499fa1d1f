package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// removals makes the deletes: of what is not wanted any more, of generations that were replaced, of
// what an earlier run left over. Whatever uses a thing lets go of it first; where it does not let
// go, the thing stays.
func (m *maker) removals() {
	for _, a := range slices.SortedFunc(maps.Keys(m.in.Have.Records), resource.Address.Compare) {
		rec := m.in.Have.Records[a]
		if rec.Announced && rec.ID == "" {
			continue
		}
		if v := m.verdicts[a]; v == nil {
			m.removeUnwanted(a, rec)
		} else if v.act == Replace {
			m.remove(rec, "replaced by "+generation(v.gen))
		}
	}
	for _, x := range m.in.Have.Extra {
		if _, carried := carrierOf(x); carried {
			continue
		}
		reason := fmt.Sprintf("%s is left over", generation(x.Mark.Generation))
		if kept, ok := m.in.Have.Records[x.Mark.Address]; ok && kept.Mark == x.Mark {
			reason = "a duplicate: " + kept.ID + " is kept"
		}
		m.remove(x, reason)
	}
	users := m.users()
	m.keepUsed(users)
	m.removeReleases()
	m.orderRemovals(users)
}

func generation(n int) string { return fmt.Sprintf("generation %d", n) }

// removeUnwanted deletes what is not wanted, unless it goes with what it lives on, could not be
// asked, or holds data that nobody named.
func (m *maker) removeUnwanted(a resource.Address, rec resource.Record) {
	if on, carried := carrierOf(rec); carried {
		base, there := m.in.Have.Records[on]
		v := m.verdicts[on]
		if !there || v == nil || v.fresh() || base.Mark.Generation != rec.Mark.Generation {
			return
		}
	}
	if m.unknown(a, rec.Provider) != "" {
		return
	}
	if a.Kind() == resource.KindServer && !m.in.Destroy && rec.Facts.Access == nil && m.holdsData(rec) && !m.mayLose(rec) && !slices.Contains(m.in.Replace, a) {
		m.held = append(m.held, Deferral{Address: a, Reason: "it is not wanted any more and holds data: " + m.nameIt(rec)})
		return
	}
	reason := "not wanted any more"
	if m.in.Destroy {
		reason = ""
	}
	m.remove(rec, reason)
}

func (m *maker) remove(rec resource.Record, reason string) {
	a := rec.Mark.Address
	found := rec.Found
	mv := &move{do: DoDelete, provider: rec.Provider, reason: reason, item: resource.Item{Mark: rec.Mark, Have: &found},
		tag: a.Kind() == resource.KindServer && !m.holdsData(rec)}
	if v := m.verdicts[a]; v != nil {
		mv.detail = generation(rec.Mark.Generation)
		if v.rec.Mark == rec.Mark && v.rec.ID != rec.ID {
			mv.detail += " " + rec.ID
		}
	}
	m.removing[a] = append(m.removing[a], mv)
}

// current is what a resource is now: what was observed, laid over what it was last brought to.
func current(rec resource.Record) resource.Spec {
	if rec.Want == nil || rec.Found.Spec == nil {
		return firstSpec(rec.Want, rec.Found.Spec)
	}
	spec := resource.Clone(rec.Want)
	for _, name := range rec.Observed {
		resource.CopyField(spec, rec.Found.Spec, name)
	}
	return spec
}

func firstSpec(a, b resource.Spec) resource.Spec {
	if a != nil {
		return a
	}
	return b
}

// users tells who holds each address: by what is there, and by what is wanted.
func (m *maker) users() map[resource.Address][]resource.Address {
	users := map[resource.Address][]resource.Address{}
	add := func(user resource.Address, spec resource.Spec) {
		for _, held := range holds(spec) {
			if held != user && !slices.Contains(users[held], user) {
				users[held] = append(users[held], user)
			}
		}
	}
	for a, rec := range m.in.Have.Records {
		add(a, current(rec))
	}
	for _, x := range m.in.Have.Extra {
		add(x.Mark.Address, current(x))
	}
	for a, v := range m.verdicts {
		add(a, v.spec)
	}
	for _, list := range users {
		slices.SortFunc(list, resource.Address.Compare)
	}
	return users
}

// keepUsed takes back the deletes of what stays in use. What stays may itself use something, so it
// goes on until nothing changes.
func (m *maker) keepUsed(users map[resource.Address][]resource.Address) {
	for changed := true; changed; {
		changed = false
		for _, a := range slices.SortedFunc(maps.Keys(m.removing), resource.Address.Compare) {
			for _, user := range users[a] {
				if m.letsGo(user, a) {
					continue
				}
				m.held = append(m.held, Deferral{Address: a, Reason: fmt.Sprintf("its deletion waits: %s still uses it", user)})
				delete(m.removing, a)
				changed = true
				break
			}
		}
	}
}

// letsGo reports whether a user of an address no longer holds what is deleted of it once the
// plan's moves are done.
func (m *maker) letsGo(user, a resource.Address) bool {
	on, carried := m.carrierOf(user)
	if carried && (on == a || len(m.removing[on]) > 0) {
		return true
	}
	for _, x := range m.extra[user] {
		if slices.Contains(holds(current(x)), a) && !m.removed(x) {
			return false
		}
	}
	rec, there := m.in.Have.Records[user]
	if !there || rec.Announced || !slices.Contains(holds(current(rec)), a) {
		return true
	}
	return m.removed(rec) || m.lettingGo(user) != nil
}

// carrierOf tells on what an address lives now, or is to live.
func (m *maker) carrierOf(a resource.Address) (resource.Address, bool) {
	return carrier(a, current(m.in.Have.Records[a]), m.wants[a].Spec)
}

// removed reports whether the very thing of a record is deleted.
func (m *maker) removed(rec resource.Record) bool {
	return slices.ContainsFunc(m.removing[rec.Mark.Address], func(mv *move) bool {
		return mv.item.Mark == rec.Mark && mv.item.Have.ID == rec.ID
	})
}

// lettingGo is the move after which a user rests on what is wanted only, or nil.
func (m *maker) lettingGo(user resource.Address) *move {
	if user.Kind() == resource.KindMembers {
		for _, mv := range slices.Backward(m.phases[user.Name]) {
			if mv.address() == user {
				return mv
			}
		}
	}
	if mv := m.making[user]; mv != nil && mv.do != DoWait {
		return mv
	}
	return nil
}

// deletedFirst reports whether a replacement deletes the old before it makes the new: where the
// old holds data, which then was named.
func (m *maker) deletedFirst(a resource.Address) bool {
	if on, carried := m.carrierOf(a); carried {
		a = on
	}
	v := m.verdicts[a]
	return v != nil && v.act == Replace && a.Kind() == resource.KindServer && m.holdsData(v.rec)
}

// orderRemovals draws the edges of removal: the one that orders creation, reversed.
func (m *maker) orderRemovals(users map[resource.Address][]resource.Address) {
	for _, a := range slices.SortedFunc(maps.Keys(m.removing), resource.Address.Compare) {
		list, first := m.removing[a], m.deletedFirst(a)
		for _, mv := range list {
			for _, user := range users[a] {
				mv.need(m.removing[user]...)
				on, carried := m.carrierOf(user)
				if carried && on != a && m.making[user] == nil {
					mv.need(m.removing[on]...)
				}
				if in := m.settledIn[a]; in != nil && user.Kind() == resource.KindMembers {
					mv.need(in)
				} else if !first {
					mv.need(m.lettingGo(user))
				}
			}
			if first {
				if mk := m.making[a]; mk != nil {
					mk.need(mv)
				}
				mv.need(m.leave(a))
			} else if v := m.verdicts[a]; v != nil && v.fresh() {
				mv.need(m.making[a])
			}
		}
	}
}
