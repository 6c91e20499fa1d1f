package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// serverThere is a server as an earlier apply left it.
func serverThere(i int, spec *resource.ServerSpec) resource.Record {
	return resource.Record{Found: resource.Found{Mark: serverMark(i), Provider: "cloud", ID: "id", Ready: true, Spec: spec, Observed: []string{"size"}}, Want: spec}
}

func TestCycleIsNamed(t *testing.T) {
	a, b := resource.Address{Block: "network", Name: "a"}, resource.Address{Block: "network", Name: "b"}
	_, err := Make(Input{Wants: []Want{
		{Address: a, Spec: &resource.NetworkSpec{}, Needs: []resource.Address{b}},
		{Address: b, Spec: &resource.NetworkSpec{}, Needs: []resource.Address{a}},
	}})
	if err == nil || err.Error() != "cycle: network.a needs network.b needs network.a" {
		t.Errorf("error %v", err)
	}
}

func TestContradictionsAreErrors(t *testing.T) {
	a := resource.Address{Block: "network", Name: "a"}
	for want, wants := range map[string][]Want{
		"network.a is wanted twice":               {{Address: a, Spec: &resource.NetworkSpec{}}, {Address: a, Spec: &resource.NetworkSpec{}}},
		"network.a: its spec is of another kind":  {{Address: a, Spec: &resource.SSHKeySpec{}}},
		"network.a: its spec is of another kind ": {{Address: a}},
	} {
		if _, err := Make(Input{Wants: wants}); err == nil || err.Error() != strings.TrimSpace(want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestBatchesNeverMixWhatDiffers(t *testing.T) {
	var wants []Want
	add := func(group, size, provider string, n int) {
		for i := range n {
			wants = append(wants, Want{Address: resource.Server(group, i), Spec: &resource.ServerSpec{Group: group, Size: size}, Provider: provider})
		}
	}
	add("blue", "small", "cloud", 23)
	add("green", "small", "cloud", 3)
	add("red", "small", "other", 2)
	old := resource.Record{Found: resource.Found{Mark: resource.Mark{Stack: stackID, Address: resource.Server("blue", 5), Generation: 1}, Provider: "cloud"}}
	p, err := Make(Input{Memory: resource.Memory{Stack: stackID}, Wants: wants, Have: Have{Gone: map[resource.Address]resource.Record{resource.Server("blue", 5): old}},
		Schemas: map[string]resource.Schema{"cloud": {Batch: map[resource.Kind]int{resource.KindServer: 10}}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"create group.blue.server[0..4,6..10]", "create group.blue.server[5]", "create group.blue.server[11..20]", "create group.blue.server[21..22]",
		"create group.green.server[0..2]", "create group.red.server[0]", "create group.red.server[1]"}
	if !slices.Equal(ids(p), want) {
		t.Errorf("steps %q\nwant  %q", ids(p), want)
	}
}

func TestMoveToAnotherProviderIsAReplacement(t *testing.T) {
	spec := &resource.ServerSpec{Group: "blue", Size: "small"}
	a := resource.Server("blue", 0)
	p, err := Make(Input{Memory: resource.Memory{Stack: stackID}, Have: Have{Records: map[resource.Address]resource.Record{a: serverThere(0, spec)}},
		Wants: []Want{{Address: a, Spec: spec, Provider: "other"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 2 || p.Steps[0].Provider != "other" || p.Steps[0].Do != DoCreate || p.Steps[1].Provider != "cloud" || p.Steps[1].Do != DoDelete {
		t.Errorf("steps %+v", p.Steps)
	}
}

func TestNothingIsPlannedOnWhatCouldNotBeAsked(t *testing.T) {
	spec, wish := &resource.ServerSpec{Group: "blue", Size: "small"}, &resource.ServerSpec{Group: "blue", Size: "large"}
	have := Have{Records: map[resource.Address]resource.Record{resource.Server("blue", 0): serverThere(0, spec), resource.Server("blue", 2): serverThere(2, spec)},
		Blind: map[string]error{"cloud": errors.New("unauthorized")}}
	p, err := Make(Input{Memory: resource.Memory{Stack: stackID}, Have: have,
		Wants: []Want{{Address: resource.Server("blue", 0), Spec: wish, Provider: "cloud"}, {Address: resource.Server("blue", 1), Spec: wish, Provider: "cloud"}}})
	if err != nil || !p.Empty() || len(p.Unknown) != 3 {
		t.Errorf("%v, steps %v, unknown %v", err, ids(p), p.Unknown)
	}
}

func TestWhatIsNotComparedIsRememberedWithoutAStep(t *testing.T) {
	old := &resource.ServerSpec{Group: "blue", Size: "small"}
	wish := &resource.ServerSpec{Group: "blue", Size: "small", Need: &resource.Need{CPUs: 1}, ImageID: "7"}
	a := resource.Server("blue", 0)
	in := Input{Memory: resource.Memory{Stack: stackID}, Have: Have{Records: map[resource.Address]resource.Record{a: serverThere(0, old)}}, Wants: []Want{{Address: a, Spec: wish, Provider: "cloud"}}}
	p, err := Make(in)
	if err != nil || !p.Empty() || len(p.Settled) != 1 {
		t.Fatalf("%v, %+v", err, p)
	}
	l := NewLedger(in.Memory, in.Have, "ann")
	l.Begin(p)
	if rec := l.Memory().Records[a]; !sameSpec(rec.Want, wish) {
		t.Errorf("remembered %+v", rec.Want)
	}
}

func TestAnnouncedCreateThatNobodyWantsIsForgotten(t *testing.T) {
	rec := resource.Record{Found: resource.Found{Mark: serverMark(0), Provider: "cloud"}, Announced: true}
	in := Input{Memory: resource.Memory{Stack: stackID}, Have: Have{Records: map[resource.Address]resource.Record{rec.Mark.Address: rec}}}
	p, err := Make(in)
	if err != nil || !p.Empty() || len(p.Forget) != 1 {
		t.Fatalf("%v, %+v", err, p)
	}
	l := NewLedger(in.Memory, in.Have, "ann")
	l.Begin(p)
	if records := l.Memory().Records; len(records) > 0 {
		t.Errorf("remembered %v", records)
	}
}

func TestWhatIsNotReadyIsWaitedFor(t *testing.T) {
	spec := &resource.ServerSpec{Group: "blue", Size: "small"}
	rec := serverThere(0, spec)
	rec.Ready = false
	p, err := Make(Input{Memory: resource.Memory{Stack: stackID}, Have: Have{Records: map[resource.Address]resource.Record{rec.Mark.Address: rec}},
		Wants: []Want{{Address: rec.Mark.Address, Spec: spec, Provider: "cloud"}}})
	if err != nil || !slices.Equal(ids(p), []string{"wait group.blue.server[0]"}) {
		t.Errorf("%v, %v", err, ids(p))
	}
}

func TestRange(t *testing.T) {
	for want, indexes := range map[string][]int{"group.blue.server[0]": {0}, "group.blue.server[0..2]": {0, 1, 2}, "group.blue.server[0,2..3,9]": {0, 2, 3, 9}} {
		if have := Range(resource.Server("blue", 0), indexes); have != want {
			t.Errorf("%v: %s, want %s", indexes, have, want)
		}
	}
}
