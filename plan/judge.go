package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// A verdict is what is to happen to one wanted address.
type verdict struct {
	want     Want
	rec      resource.Record // what is there; zero when nothing is
	exists   bool
	act      Action // Keep, Create, Update, Replace
	wait     bool   // of Keep: it is there and not ready yet
	gen      int    // the generation that it has afterwards
	spec     resource.Spec
	diff     difference
	changed  []string // of Update
	reason   string
	deferred string // why what the files want waits
	unknown  string // why nothing is planned on it
}

// fresh reports whether the verdict brings something new into being, so that what rests on it is
// renewed.
func (v *verdict) fresh() bool { return v.act == Create || v.act == Replace }

// carrier tells on what a resource lives: docker, a release and a certificate on their server,
// members and the route at their balancer. What lives on another has its generation and goes when it
// goes. Where an address alone does not tell, the first of its specs that is there does.
func carrier(a resource.Address, specs ...resource.Spec) (resource.Address, bool) {
	switch a.Kind() {
	case resource.KindCertificate:
		for _, spec := range specs {
			if c, ok := spec.(*resource.CertificateSpec); ok && c != nil && !c.Server.IsZero() {
				return c.Server, true
			}
		}
	case resource.KindDocker, resource.KindRelease:
		return resource.Server(a.Name, a.Index), true
	case resource.KindMembers, resource.KindRoute:
		return resource.LoadBalancer(a.Name), true
	}
	return resource.Address{}, false
}

// carrierOf tells on what the resource of a record lives.
func carrierOf(rec resource.Record) (resource.Address, bool) {
	return carrier(rec.Mark.Address, rec.Found.Spec, rec.Want)
}

// hosted reports whether a kind's driver works on hosts: its creates are idempotent, so an
// announced one is simply made again.
func hosted(k resource.Kind) bool { return k.OnHost() || k == resource.KindRoute }

// judge gives every wanted address its verdict, what others rest on first.
func (m *maker) judge() error {
	order, err := m.sortWants()
	if err != nil {
		return err
	}
	for _, a := range order {
		m.verdicts[a] = m.judgeOne(m.wants[a])
	}
	return nil
}

func (m *maker) judgeOne(want Want) *verdict {
	a := want.Address
	v := &verdict{want: want, act: Keep, spec: want.Spec}
	v.rec, v.exists = m.in.Have.Records[a]
	v.gen = v.rec.Mark.Generation
	on, carried := carrier(a, want.Spec)
	if carried {
		base := m.verdicts[on]
		if base == nil {
			carried = false
		} else {
			v.gen = base.gen
			v.exists = v.exists && v.rec.Mark.Generation == base.gen
		}
	}
	if v.unknown = m.unasked(v, on, carried); v.unknown != "" {
		return v
	}
	if !v.exists || v.rec.Announced {
		m.judgeMissing(v, on, carried)
		return v
	}
	m.judgePresent(v, carried)
	return v
}

// unasked tells why nothing can be planned on an address, or "". What is new on a host, or was
// begun there, needs no answer: creates there may be repeated.
func (m *maker) unasked(v *verdict, on resource.Address, carried bool) string {
	a := v.want.Address
	switch {
	case carried && m.verdicts[on].fresh():
		return ""
	case !hosted(a.Kind()):
		return firstOf(m.unknown(a, v.want.Provider), m.unknown(a, v.rec.Provider))
	case v.exists && !v.rec.Announced:
		return m.unknown(a, "")
	case a.Kind() == resource.KindRelease || a.Kind() == resource.KindCertificate:
		if docker := m.verdicts[resource.DockerOn(on.Name, on.Index)]; docker != nil {
			return docker.unknown
		}
	}
	return ""
}

// unknown tells why an address could not be asked, or "".
func (m *maker) unknown(a resource.Address, provider string) string {
	if err := m.in.Have.Blind[provider]; err != nil && provider != "" {
		return err.Error()
	}
	return m.in.Have.Unknown[a]
}

// judgeMissing judges what is not there: it is created, in a live group too, where it comes back
// as it was.
func (m *maker) judgeMissing(v *verdict, on resource.Address, carried bool) {
	a := v.want.Address
	v.exists, v.act = false, Create
	gone, was := m.in.Have.Gone[a]
	if !carried {
		if !v.rec.Announced {
			v.gen = m.newest(a) + 1
		}
		if was && gone.Want != nil && m.sacred(a) && a.Kind() == resource.KindServer {
			v.spec = gone.Want
		}
	}
	switch {
	case carried && was && gone.Mark.Generation != v.gen, carried && m.verdicts[on].fresh() && v.rec.Mark.Generation > 0:
		v.reason = fmt.Sprintf("%s is new", on)
	case was:
		v.reason = "gone"
	case v.rec.Announced:
		v.reason = "an earlier run was stopped while creating it"
	}
}

// newest is the highest generation that an address ever had, as far as is known.
func (m *maker) newest(a resource.Address) int {
	n := max(m.in.Have.Records[a].Mark.Generation, m.in.Have.Gone[a].Mark.Generation)
	for _, x := range m.extra[a] {
		n = max(n, x.Mark.Generation)
	}
	return n
}

// judgePresent judges what is there.
func (m *maker) judgePresent(v *verdict, carried bool) {
	a := v.want.Address
	schema := m.in.Schemas[v.want.Provider]
	v.diff = compare(v.want.Spec, v.rec, schema)
	if from, to := v.rec.Provider, v.want.Provider; from != "" && to != "" && from != to {
		v.diff.fields = append(v.diff.fields, FieldChange{Name: "provider", Before: quote(from), After: quote(to), Fixed: true})
		v.diff.asked = append(v.diff.asked, "provider")
	}
	renewed, fields, rebased := m.renewal(v)
	named := slices.Contains(m.in.Replace, a)
	dead := v.rec.Problem != "" && !carried
	v.changed = union(v.diff.names(), fields)
	switch {
	case carried && v.rec.Problem != "":
		v.changed = append(v.changed, Broken)
		v.reason = v.rec.Problem
	case v.rec.Broken != "":
		v.changed = append(v.changed, Broken)
		v.reason = v.rec.Broken
	case renewed != "":
		v.reason = renewed
	}
	switch {
	case !carried && (named || dead || v.diff.fixed() || rebased):
		v.act = Replace
		if dead {
			v.reason = v.rec.Problem
		} else if named {
			v.reason = "named by --replace"
		}
	case len(v.changed) > 0:
		v.act = Update
	}
	m.protect(v, named, dead)
	if v.act == Replace {
		v.gen = m.newest(a) + 1
	}
	v.wait = v.act == Keep && !v.rec.Ready
}

// renewal tells which address that a resource rests on is new, which fields name such addresses,
// and whether that replaces it because it can't be moved over.
func (m *maker) renewal(v *verdict) (reason string, fields []string, replaces bool) {
	a, spec := v.want.Address, v.want.Spec
	on, _ := carrier(a, spec)
	for _, f := range resource.Fields(spec) {
		if f.Mode != resource.ModeFixed && f.Mode != resource.ModeChange {
			continue
		}
		for _, ref := range fieldRefs(spec, f.Name) {
			if ref == on || !m.renews(v, ref, f.Mode) {
				continue
			}
			if reason == "" {
				reason = fmt.Sprintf("%s is new", ref)
			}
			fields = union(fields, []string{f.Name})
			replaces = replaces || f.Mode == resource.ModeFixed
		}
	}
	if spec, ok := spec.(*resource.RouteSpec); ok && reason == "" {
		if host := m.newHost(spec); host != "" {
			return host, []string{"live"}, false
		}
	}
	return reason, fields, replaces
}

// renews reports whether an address that a resource names is new to it. An old generation that is
// still there tells of a renewal that was cut short.
func (m *maker) renews(v *verdict, ref resource.Address, mode resource.Mode) bool {
	base := m.verdicts[ref]
	if base == nil || base.fresh() {
		return base != nil
	}
	moved := mode == resource.ModeFixed && !v.rec.Created.IsZero() && v.rec.Created.After(base.rec.Created)
	return len(m.extra[ref]) > 0 && !moved
}

// newHost names a release of the live group that is new: its host is to keep the route's commit.
func (m *maker) newHost(route *resource.RouteSpec) string {
	for i := range m.groups[route.Live].Servers {
		if r := m.verdicts[resource.ReleaseOn(route.Live, i)]; r != nil && r.fresh() {
			return fmt.Sprintf("%s is new", r.want.Address)
		}
	}
	return ""
}

// protect holds back what the files want of a live group's running things, and of things that hold
// data or that live things rest on.
func (m *maker) protect(v *verdict, named, dead bool) {
	a := v.want.Address
	switch {
	case v.act == Replace && named:
	case v.act == Replace && a.Kind() == resource.KindServer && m.holdsData(v.rec) && !m.mayLose(v.rec):
		v.hold("it holds data: " + m.nameIt(v.rec))
	case v.act == Replace && dead:
	case v.act == Replace && a.Kind() == resource.KindLoadBalancer && Established(m.in.Memory, a.Name):
		v.hold("it serves, and a new one would have another address: name it with --replace")
	case v.act == Replace && m.sacred(a):
		v.hold(fmt.Sprintf("group %s is live", a.Name))
	case v.act == Replace:
		if user, ok := m.sacredUser(a); ok {
			v.hold(fmt.Sprintf("%s rests on it and is live: give the new one another name instead", user))
		}
	case v.act == Update && m.sacred(a):
		m.healOnly(v)
	}
}

// hold keeps a resource as it is and says why.
func (v *verdict) hold(reason string) {
	v.act, v.changed, v.deferred = Keep, nil, reason
}

// healOnly reduces an update of a live thing to what may be done to it: drift is mended, replicas
// follow the wish, all else that the files want waits.
func (m *maker) healOnly(v *verdict) {
	waits := slices.DeleteFunc(slices.Clone(v.diff.asked), func(name string) bool {
		return name == "scale" && v.want.Spec.Kind() == resource.KindRelease
	})
	if len(waits) == 0 {
		return
	}
	v.deferred = fmt.Sprintf("group %s is live", v.want.Address.Name)
	v.changed = slices.DeleteFunc(v.changed, func(name string) bool { return slices.Contains(waits, name) })
	v.spec = resource.Clone(v.want.Spec)
	for _, name := range waits {
		if v.rec.Want != nil {
			resource.CopyField(v.spec, v.rec.Want, name)
		} else if v.rec.Found.Spec != nil {
			resource.CopyField(v.spec, v.rec.Found.Spec, name)
		}
	}
	if len(v.changed) == 0 {
		v.act = Keep
	}
}

// sacred reports whether an address belongs to a group that traffic depends on.
func (m *maker) sacred(a resource.Address) bool { return a.Block == "group" && m.live[a.Name] }

// sacredUser finds a live thing, or one with data, that can't do without an address.
func (m *maker) sacredUser(a resource.Address) (resource.Address, bool) {
	for _, user := range m.order {
		rec, there := m.in.Have.Records[user]
		if there && (m.sacred(user) || m.groups[user.Name].Data && user.Block == "group") &&
			slices.Contains(refsOf(current(rec), resource.ModeFixed), a) {
			if _, carried := carrierOf(rec); !carried {
				return user, true
			}
		}
	}
	return resource.Address{}, false
}

// liveGroups finds the groups that traffic depends on: the live one of every established pair, and
// both while a switch is past its commit or on its way back.
func liveGroups(in Input) map[string]bool {
	live := map[string]bool{}
	for _, b := range in.Balancers {
		if len(b.Groups) != 2 || !Established(in.Memory, b.Name) {
			continue
		}
		live[in.Decision.Intent.Live[b.Name]] = true
		if under, ok := in.Decision.Switches[b.Name]; ok && under.Phase != "" {
			live[under.From], live[under.To] = true, true
		}
	}
	return live
}

// deps lists what a want rests on at its making: what its spec names, what it says itself, and for
// members the releases of their servers, for a route its members.
func (m *maker) deps(w Want) []resource.Address {
	set := map[resource.Address]bool{}
	for _, a := range append(resource.Refs(w.Spec), w.Needs...) {
		set[a] = true
	}
	if on, ok := carrier(w.Address, w.Spec); ok {
		set[on] = true
	}
	switch spec := w.Spec.(type) {
	case *resource.MembersSpec:
		for _, s := range spec.Servers {
			set[resource.ReleaseOn(s.Name, s.Index)] = true
		}
	case *resource.RouteSpec:
		set[resource.MembersOf(w.Address.Name)] = true
	}
	delete(set, w.Address)
	list := slices.DeleteFunc(slices.Collect(maps.Keys(set)), func(a resource.Address) bool {
		_, ok := m.wants[a]
		return !ok
	})
	slices.SortFunc(list, resource.Address.Compare)
	return list
}
