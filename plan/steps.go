package plan

import (
	"bytes"
	"container/heap"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// deleteByTagAbove is how many servers are deleted one by one at most, where the provider can
// delete by tag.
const deleteByTagAbove = 10

// step is a move as a step of its own, without its needs.
func (m *maker) step(mv *move) Step {
	s := Step{
		ID: mv.id(), Do: mv.do, Phase: mv.phase, Provider: mv.provider, Items: []resource.Item{mv.item},
		Reason: mv.reason, OnFailure: mv.way, Outcome: mv.outcome, Switch: mv.turn,
	}
	if mv.do != DoCreate && mv.do != DoUpdate {
		return s
	}
	s.Secrets = resource.Secrets(mv.item.Spec)
	specs := []resource.Spec{mv.item.Spec}
	if mv.item.Have != nil {
		specs = append(specs, mv.item.Have.Spec)
	}
	for _, spec := range specs {
		if r, ok := m.release(releaseIn(spec)); ok {
			s.Releases = union(s.Releases, []string{r.ID})
			s.Secrets = union(s.Secrets, r.Secrets)
		}
	}
	return s
}

// releaseIn is the release that a spec names, or "".
func releaseIn(s resource.Spec) string {
	switch s := s.(type) {
	case *resource.ReleaseSpec:
		return s.Release
	case *resource.CertificateSpec:
		return s.Release // its hook may need secrets
	case *resource.RouteSpec:
		return s.Release
	}
	return ""
}

// steps packs the moves into steps, orders them so that each comes after what it needs, and ends a
// destroy with what providers keep beside resources.
func (m *maker) steps() ([]Step, error) {
	packs := m.pack()
	steps, err := sortPacks(packs)
	if err != nil {
		return nil, err
	}
	if m.in.Destroy {
		steps = append(steps, m.retire(steps)...)
	}
	return steps, nil
}

// A pack is the moves of one step.
type pack struct {
	step  Step
	moves []*move
	needs map[*pack]bool
	users []*pack
	left  int // needs that are not placed yet
	at    int // where it stands in the fixed order
}

// pack joins equal creates into batches and the deletes of many servers into one.
func (m *maker) pack() []*pack {
	var packs []*pack
	open := map[string]*pack{} // batches that may grow
	of := map[*move]*pack{}
	many := m.manyDeletes()
	for _, mv := range m.all() {
		key, most := "", 1
		switch {
		case mv.do == DoCreate:
			if most = m.in.Schemas[mv.provider].Batch[mv.address().Kind()]; most > 1 {
				key = batchKey(mv)
			}
		case many[mv]:
			key, most = "delete "+mv.provider, len(many)
		}
		p := open[key]
		if key == "" || p == nil || len(p.moves) == most {
			p = &pack{step: m.step(mv), at: len(packs), needs: map[*pack]bool{}}
			packs = append(packs, p)
			open[key] = p
		} else {
			p.step.Items = append(p.step.Items, mv.item)
		}
		p.moves = append(p.moves, mv)
		of[mv] = p
	}
	for _, p := range packs {
		m.name(p)
		for _, mv := range p.moves {
			for need := range mv.needs {
				if q := of[need]; q != nil && q != p && !p.needs[q] {
					p.needs[q] = true
					q.users = append(q.users, p)
				}
			}
		}
	}
	return packs
}

// name gives a step of several items its id, and a delete by tag its tag.
func (m *maker) name(p *pack) {
	first := p.moves[0]
	switch {
	case len(p.moves) == 1:
	case first.do == DoDelete:
		p.step.ID = fmt.Sprintf("delete %d servers at %s", len(p.moves), first.provider)
		p.step.Tag = fmt.Sprintf("cloudship:%s:delete-%s", m.in.Memory.Stack, m.in.Nonce)
	default:
		var indexes []int
		for _, mv := range p.moves {
			indexes = append(indexes, mv.address().Index)
		}
		p.step.ID = fmt.Sprintf("%s %s", first.do, Range(first.address(), indexes))
	}
}

// Range names several addresses that differ in their index: group.blue.server[0..9,12].
func Range(a resource.Address, indexes []int) string {
	var parts []string
	for i := 0; i < len(indexes); {
		j := i
		for j+1 < len(indexes) && indexes[j+1] == indexes[j]+1 {
			j++
		}
		part := strconv.Itoa(indexes[i])
		if j > i {
			part += ".." + strconv.Itoa(indexes[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	name, _, _ := strings.Cut(a.String(), "[")
	return name + "[" + strings.Join(parts, ",") + "]"
}

// batchKey is equal for creates that one call can make: their specs, generations and needs are the
// same, and so is their group, because a call's servers share one user data.
func batchKey(mv *move) string {
	var b bytes.Buffer
	a := mv.address()
	fmt.Fprintf(&b, "create %s %s %s %s %d ", mv.provider, a.Block, a.Part, a.Name, mv.item.Mark.Generation)
	spec, _ := json.Marshal(mv.item.Spec)
	b.Write(spec)
	var needs []string
	for n := range mv.needs {
		needs = append(needs, n.id())
	}
	slices.Sort(needs)
	fmt.Fprintf(&b, " %q %q", needs, mv.reason)
	return b.String()
}

// manyDeletes tells the deletes that one call by tag can do: of a provider that can, and of which
// there are many.
func (m *maker) manyDeletes() map[*move]bool {
	count := map[string][]*move{}
	for _, list := range m.removing {
		for _, mv := range list {
			if mv.tag && m.in.Schemas[mv.provider].DeleteByTag {
				count[mv.provider] = append(count[mv.provider], mv)
			}
		}
	}
	many := map[*move]bool{}
	for _, list := range count {
		if len(list) > deleteByTagAbove {
			for _, mv := range list {
				many[mv] = true
			}
		}
	}
	return many
}

// sortPacks orders steps by their needs, and otherwise keeps the order they came in.
func sortPacks(packs []*pack) ([]Step, error) {
	ready := &queue{}
	for _, p := range packs {
		if p.left = len(p.needs); p.left == 0 {
			heap.Push(ready, p)
		}
	}
	var steps []Step
	placed := map[*pack]int{}
	for ready.Len() > 0 {
		p := heap.Pop(ready).(*pack)
		placed[p] = len(steps)
		needs := slices.SortedFunc(maps.Keys(p.needs), func(a, b *pack) int { return placed[a] - placed[b] })
		for _, n := range needs {
			p.step.Needs = append(p.step.Needs, n.step.ID)
		}
		steps = append(steps, p.step)
		for _, u := range p.users {
			if u.left--; u.left == 0 {
				heap.Push(ready, u)
			}
		}
	}
	if len(steps) < len(packs) {
		return nil, fmt.Errorf("cycle: %s", strings.Join(cycleOf(packs, placed), " needs "))
	}
	return steps, nil
}

// cycleOf walks from any step that could not be placed until one comes again.
func cycleOf(packs []*pack, placed map[*pack]int) []string {
	var at *pack
	for _, p := range packs {
		if _, ok := placed[p]; !ok {
			at = p
			break
		}
	}
	var path []string
	for at != nil && !slices.Contains(path, at.step.ID) {
		path = append(path, at.step.ID)
		var next *pack
		for n := range at.needs {
			if _, ok := placed[n]; !ok && (next == nil || n.at < next.at) {
				next = n
			}
		}
		at = next
	}
	if at == nil {
		return path
	}
	return append(path[slices.Index(path, at.step.ID):], at.step.ID)
}

// queue is a heap of steps by the order they came in.
type queue []*pack

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*pack)) }
func (q *queue) Pop() any {
	old := *q
	p := old[len(old)-1]
	*q = old[:len(old)-1]
	return p
}

// retire ends a destroy: each provider removes what it kept for the stack beside resources.
func (m *maker) retire(steps []Step) []Step {
	providers := map[string]bool{}
	for _, alias := range m.in.Memory.Retired {
		providers[alias] = true
	}
	for _, rec := range m.in.Memory.Records {
		providers[rec.Provider] = true
	}
	for _, s := range steps {
		providers[s.Provider] = true
	}
	delete(providers, "")
	var list []Step
	for _, alias := range slices.Sorted(maps.Keys(providers)) {
		if _, known := m.in.Schemas[alias]; !known || m.in.Have.Blind[alias] != nil {
			continue
		}
		s := Step{ID: "retire " + alias, Do: DoRetire, Provider: alias}
		for _, before := range steps {
			if before.Provider == alias {
				s.Needs = append(s.Needs, before.ID)
			}
		}
		list = append(list, s)
	}
	return list
}

// keepTargets leaves out every move that no target needs.
func (m *maker) keepTargets() {
	if len(m.in.Targets) == 0 {
		return
	}
	keep := map[*move]bool{}
	var add func(mv *move)
	add = func(mv *move) {
		if !keep[mv] {
			keep[mv] = true
			for need := range mv.needs {
				add(need)
			}
		}
	}
	for _, mv := range m.all() {
		if slices.ContainsFunc(m.in.Targets, func(t resource.Address) bool { return targets(t, mv.address()) }) {
			add(mv)
		}
	}
	drop := func(mv *move) bool { return !keep[mv] }
	maps.DeleteFunc(m.making, func(_ resource.Address, mv *move) bool { return drop(mv) })
	for a, list := range m.removing {
		if m.removing[a] = slices.DeleteFunc(list, drop); len(m.removing[a]) == 0 {
			delete(m.removing, a)
		}
	}
	m.more = slices.DeleteFunc(m.more, drop)
	m.notes = append(m.notes, "only what was named by --target and what that needs is planned")
}

// targets reports whether a target covers an address: itself, or for a group all that is in it.
func targets(target, a resource.Address) bool {
	return target == a || target.Block == "group" && target.Part == "" && target.Block == a.Block && target.Name == a.Name
}
