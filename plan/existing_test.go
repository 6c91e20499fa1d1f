package plan

import (
	"slices"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// machine is a group of one server on a machine that existed before, with a release on it.
func machine(address string, change func(*Input)) Input {
	spec := &resource.ServerSpec{Group: "blue", Options: resource.Options{"address": address}}
	docker, release := resource.DockerOn("blue", 0), resource.ReleaseOn("blue", 0)
	dockerSpec := &resource.DockerSpec{Server: resource.Server("blue", 0)}
	releaseSpec := &resource.ReleaseSpec{Server: resource.Server("blue", 0), Docker: docker, Template: "web", Release: "r-1"}
	there := func(a resource.Address, provider, id string, spec resource.Spec) resource.Record {
		f := resource.Found{Mark: resource.Mark{Stack: stackID, Address: a, Generation: 1}, Provider: provider, ID: id, Spec: spec, Ready: true}
		for _, field := range resource.Fields(spec) {
			f.Observed = append(f.Observed, field.Name)
		}
		return resource.Record{Found: f, Want: resource.Clone(spec)}
	}
	server := there(resource.Server("blue", 0), "mine", address, spec)
	server.Facts.Access = &resource.Access{Address: address}
	in := Input{
		Memory: resource.Memory{Stack: stackID}, Groups: []Group{{Name: "blue", Servers: 1, Template: "web"}},
		Schemas:  map[string]resource.Schema{"mine": {Existing: true}},
		Releases: map[string]resource.ReleaseEntry{"r-1": {ID: "r-1"}},
		Have: Have{Records: map[resource.Address]resource.Record{
			server.Mark.Address: server, docker: there(docker, "", address, dockerSpec), release: there(release, "", "r-1", releaseSpec),
		}},
		Wants: []Want{
			{Address: server.Mark.Address, Spec: resource.Clone(spec), Provider: "mine"}, {Address: docker, Spec: resource.Clone(dockerSpec)},
			{Address: release, Spec: resource.Clone(releaseSpec)},
		},
	}
	change(&in)
	return in
}

// stepOf finds the step that does something to an address.
func stepOf(p *Plan, do Do, a resource.Address) *Step {
	for i, s := range p.Steps {
		if s.Do == do && slices.ContainsFunc(s.Items, func(item resource.Item) bool { return item.Mark.Address == a }) {
			return &p.Steps[i]
		}
	}
	return nil
}

func TestReleaseIsTakenAwayBeforeAMachineIsLetGo(t *testing.T) {
	server, release := resource.Server("blue", 0), resource.ReleaseOn("blue", 0)
	for name, test := range map[string]struct {
		change func(*Input)
		goes   bool
		new    bool // after the new one has come
	}{
		"nothing":  {func(*Input) {}, false, false},
		"destroy":  {func(in *Input) { in.Destroy, in.Wants, in.Groups = true, nil, nil }, true, false},
		"unwanted": {func(in *Input) { in.Wants, in.Groups = nil, nil }, true, false},
		"moved": {func(in *Input) {
			in.Wants[0].Spec.(*resource.ServerSpec).Options = resource.Options{"address": "203.0.113.9"}
		}, true, true},
		"of a cloud": {func(in *Input) {
			in.Destroy, in.Wants, in.Groups = true, nil, nil
			in.Schemas["mine"] = resource.Schema{}
		}, false, false},
	} {
		p, err := Make(machine("203.0.113.7", test.change))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		gone, left := stepOf(p, DoDelete, release), stepOf(p, DoDelete, server)
		if (gone != nil) != test.goes {
			t.Errorf("%s: the release is deleted by a step of its own: %v", name, gone != nil)
		}
		if !test.goes || gone == nil {
			continue
		}
		if left == nil || !slices.Contains(left.Needs, gone.ID) {
			t.Errorf("%s: the machine is let go before its release is gone: %+v", name, left)
		}
		made := stepOf(p, DoCreate, release)
		if test.new != (made != nil) || made != nil && !slices.Contains(gone.Needs, made.ID) {
			t.Errorf("%s: the old release goes before the new one has come: %+v", name, gone)
		}
	}
}

func TestWhatLivedOnAnOldGenerationIsReachedThere(t *testing.T) {
	in := machine("203.0.113.7", func(*Input) {})
	l := NewLedger(in.Memory, in.Have, "ann")
	server, release := resource.Server("blue", 0), resource.ReleaseOn("blue", 0)
	next := resource.Item{Mark: resource.Mark{Stack: stackID, Address: server, Generation: 2}, Spec: in.Wants[0].Spec}
	step := Step{Do: DoCreate, Provider: "mine", Items: []resource.Item{next}}
	l.Announce(step)
	l.Enter(step, next, resource.Found{Mark: next.Mark, Provider: "mine", ID: "203.0.113.9", Ready: true}, true)
	old := in.Have.Records[release].Found
	if peers := l.Peers([]resource.Item{{Mark: old.Mark, Have: &old}}); peers[server].ID != "203.0.113.7" {
		t.Errorf("the old release is looked for at %q", peers[server].ID)
	}
	fresh := resource.Item{Mark: resource.Mark{Stack: stackID, Address: release, Generation: 2}, Spec: in.Wants[2].Spec}
	if peers := l.Peers([]resource.Item{fresh}); peers[server].ID != "203.0.113.9" {
		t.Errorf("the new release is looked for at %q", peers[server].ID)
	}
}
