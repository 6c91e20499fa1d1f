package plan

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// serving is a memory of a pair behind www whose blue group is live.
func serving(blue, green string) resource.Memory {
	return resource.Memory{
		Intent:   resource.Intent{Live: map[string]string{"www": "blue"}, Releases: map[string]string{"blue": blue, "green": green}},
		Records:  map[resource.Address]resource.Record{resource.RouteOf("www"): {}},
		Releases: map[string]resource.ReleaseEntry{"v1": {ID: "v1"}, "v2": {ID: "v2"}},
	}
}

func TestDecide(t *testing.T) {
	pair := []Balancer{{Name: "www", Groups: []string{"blue", "green"}}}
	groups := []Group{{Name: "blue", Template: "web", Servers: 1}, {Name: "green", Template: "web", Servers: 1}, {Name: "jobs", Template: "web", Servers: 1}}
	with := func(m resource.Memory, change func(*resource.Memory)) resource.Memory { change(&m); return m }
	back := map[string]string{"www": ""}
	for _, c := range []struct {
		name      string
		memory    resource.Memory
		candidate string
		flags     Flags
		releases  string // of blue and green
		to        string // switched to
		release   string // switched to
		deferred  string // part of the deferral
		err       string // part of the error
	}{
		{name: "first apply goes everywhere", candidate: "v1", releases: "v1 v1"},
		{name: "first apply with --switch switches nothing", candidate: "v1", flags: Flags{Switch: true}, releases: "v1 v1"},
		{name: "a first release that never served is replaced", memory: with(serving("v1", "v1"), func(m *resource.Memory) { m.Records = nil }), candidate: "v2", releases: "v2 v2"},
		{name: "a first apply that was stopped at its route goes on", memory: with(serving("v1", "v1"), func(m *resource.Memory) {
			m.Records[resource.RouteOf("www")] = resource.Record{Announced: true}
		}), candidate: "v2", releases: "v2 v2"},
		{name: "live has the candidate, idle keeps the one before", memory: serving("v2", "v1"), candidate: "v2", releases: "v2 v1"},
		{name: "what did not come up on idle is given up", memory: with(serving("v2", "v3"), func(m *resource.Memory) {
			m.Records[resource.ReleaseOn("green", 0)] = resource.Record{Found: resource.Found{Spec: &resource.ReleaseSpec{Release: "v1"}}}
		}), candidate: "v2", releases: "v2 v1"},
		{name: "and is not what the verb switch moves to", memory: with(serving("v2", "v3"), func(m *resource.Memory) {
			m.Records[resource.ReleaseOn("green", 0)] = resource.Record{Found: resource.Found{Spec: &resource.ReleaseSpec{Release: "v1"}}}
		}), flags: Flags{Move: map[string]bool{"www": true}}, releases: "v2 v1", to: "green", release: "v1"},
		{name: "the same with --switch", memory: serving("v2", "v1"), candidate: "v2", flags: Flags{Switch: true}, releases: "v2 v1"},
		{name: "a new twin gets what is live", memory: serving("v2", ""), candidate: "v2", releases: "v2 v2"},
		{name: "a candidate goes to idle", memory: serving("v1", "v1"), candidate: "v2", releases: "v1 v2", deferred: "blue is live and keeps release v1"},
		{name: "and is switched to", memory: serving("v1", "v1"), candidate: "v2", flags: Flags{Switch: true}, releases: "v1 v2", to: "green", release: "v2"},
		{name: "green is live", memory: with(serving("v1", "v1"), func(m *resource.Memory) { m.Intent.Live["www"] = "green" }), candidate: "v2", flags: Flags{Switch: true}, releases: "v2 v1", to: "blue", release: "v2"},
		{name: "what went bad is refused", memory: with(serving("v1", "v2"), bad("v2")), candidate: "v2", flags: Flags{Switch: true}, err: "v2 was switched or rolled back from"},
		{name: "until --again", memory: with(serving("v1", "v2"), bad("v2")), candidate: "v2", flags: Flags{Switch: true, Again: true}, releases: "v1 v2", to: "green", release: "v2"},
		{name: "what went bad is deferred without --switch", memory: with(serving("v1", "v2"), bad("v2")), candidate: "v2", releases: "v1 v2", deferred: "v2 went bad"},
		{name: "the verb switch takes what idle has", memory: serving("v1", "v2"), flags: Flags{Move: map[string]bool{"www": true}}, releases: "v1 v2", to: "green", release: "v2"},
		{name: "the verb switch does not release", memory: serving("v1", "v2"), candidate: "v3", flags: Flags{Move: map[string]bool{"www": true}}, releases: "v1 v2", to: "green", release: "v2"},
		{name: "the verb switch needs a release", memory: serving("v1", ""), flags: Flags{Move: map[string]bool{"www": true}}, err: "green has no release"},
		{name: "nothing serves yet", flags: Flags{Rollback: back}, err: "does not serve yet"},
		{name: "rollback to what idle has", memory: serving("v2", "v1"), flags: Flags{Rollback: back}, releases: "v2 v1", to: "green", release: "v1"},
		{name: "rollback by the history, past a newer candidate", memory: with(serving("v2", "v3"), becameLive("v1", "v2")), flags: Flags{Rollback: back}, releases: "v2 v1", to: "green", release: "v1"},
		{name: "rollback past what went bad", memory: with(with(serving("v3", "v3"), becameLive("v1", "v2", "v3")), bad("v2")), flags: Flags{Rollback: back}, releases: "v3 v1", to: "green", release: "v1"},
		{name: "rollback to a kept release", memory: serving("v3", "v2"), flags: Flags{Rollback: map[string]string{"www": "v1"}}, releases: "v3 v1", to: "green", release: "v1"},
		{name: "rollback to a release that is not kept", memory: serving("v3", "v2"), flags: Flags{Rollback: map[string]string{"www": "v0"}}, err: "v0 is not kept"},
		{name: "rollback to what is live", memory: serving("v2", "v1"), flags: Flags{Rollback: map[string]string{"www": "v2"}}, err: "live already"},
		{name: "nothing to roll back to", memory: serving("v2", "v2"), flags: Flags{Rollback: back}, err: "no release was live before"},
		{name: "a switch before its commit is undone", memory: with(serving("v1", "v2"), under(PhaseGate, false)), candidate: "v2", releases: "v1 v2", deferred: "keeps release v1"},
		{name: "and taken up again with --switch", memory: with(serving("v1", "v2"), under(PhaseAttach, false)), candidate: "v2", flags: Flags{Switch: true}, releases: "v1 v2", to: "green", release: "v2"},
		{name: "a switch past its commit is finished", memory: with(serving("v1", "v2"), under(PhaseDetach, false)), candidate: "v2", releases: "v1 v2", to: "green", release: "v2"},
		{name: "with a newer candidate too", memory: with(serving("v1", "v2"), under(PhaseWatch, false)), candidate: "v3", releases: "v1 v2", to: "green", release: "v2", deferred: "v3 waits until the switch is over"},
		{name: "a way back is always finished", memory: with(serving("v1", "v2"), under(PhaseGate, true)), candidate: "v2", releases: "v1 v2", to: "green", release: "v2"},
		{name: "the live group was taken out of the file", memory: with(serving("v1", "v2"), func(m *resource.Memory) { m.Intent.Live["www"] = "red" }), err: "red is live and is not among its groups"},
		{name: "scale", memory: serving("v1", "v1"), candidate: "v1", flags: Flags{Scale: map[string]map[string]int{"web": {"app": 5}}}, releases: "v1 v1"},
		{name: "scale of nothing", memory: serving("v1", "v1"), flags: Flags{Scale: map[string]map[string]int{"api": {"app": 5}}}, err: `no group runs template "api"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Situation{Memory: c.memory, Groups: groups, Balancers: pair, Flags: c.flags}
			if c.candidate != "" {
				s.Candidates = map[string]resource.ReleaseEntry{"web": {ID: c.candidate}}
			}
			d, err := Decide(s)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if have := d.Intent.Releases["blue"] + " " + d.Intent.Releases["green"]; have != c.releases {
				t.Errorf("releases %q, want %q", have, c.releases)
			}
			if c.candidate != "" && d.Intent.Releases["jobs"] != c.candidate && len(c.flags.Move)+len(c.flags.Rollback) == 0 {
				t.Errorf("a group alone runs %q, want %q", d.Intent.Releases["jobs"], c.candidate)
			}
			if turn := d.Switches["www"]; turn.To != c.to || turn.Release != c.release {
				t.Errorf("switch %+v, want to %q release %q", turn, c.to, c.release)
			}
			deferred := ""
			if len(d.Deferred) > 0 {
				deferred = d.Deferred[0].Reason
			}
			if (deferred == "") != (c.deferred == "") || !strings.Contains(deferred, c.deferred) {
				t.Errorf("deferred %q, want %q", deferred, c.deferred)
			}
			if want := c.flags.Scale["web"]; !maps.Equal(d.Intent.Scale["web"], want) {
				t.Errorf("scale %v, want %v", d.Intent.Scale, want)
			}
		})
	}
}

func bad(id string) func(*resource.Memory) {
	return func(m *resource.Memory) { m.Intent.Bad = map[string][]string{"www": {id}} }
}

// becameLive is a history in which releases became live one after the other.
func becameLive(ids ...string) func(*resource.Memory) {
	return func(m *resource.Memory) {
		for _, id := range ids {
			m.Intent.History = append(m.Intent.History, resource.Event{What: EventSwitched, Balancer: "www", Release: id})
		}
	}
}

// under is a switch from blue to green, or back to green, that was stopped in a phase.
func under(phase string, back bool) func(*resource.Memory) {
	return func(m *resource.Memory) {
		s := resource.Switch{From: "blue", To: "green", Release: "v2", Phase: phase, Back: back}
		m.Intent.Switch = map[string]resource.Switch{"www": s}
		if s.Committed() {
			m.Intent.Live["www"] = "green"
		}
	}
}

func TestBadReleaseHasAHint(t *testing.T) {
	m := serving("v1", "v2")
	bad("v2")(&m)
	_, err := Decide(Situation{Memory: m, Groups: []Group{{Name: "blue", Template: "web"}, {Name: "green", Template: "web"}},
		Balancers: []Balancer{{Name: "www", Groups: []string{"blue", "green"}}}, Candidates: map[string]resource.ReleaseEntry{"web": {ID: "v2"}}, Flags: Flags{Switch: true}})
	var bad *BadRelease
	if !errors.As(err, &bad) || bad.Release != "v2" || !strings.Contains(resource.HintOf(err), "--again") {
		t.Errorf("%v, hint %q", err, resource.HintOf(err))
	}
}

func TestGroupAloneHasNoSwitch(t *testing.T) {
	s := Situation{Memory: serving("v1", ""), Groups: []Group{{Name: "blue", Template: "web"}}, Balancers: []Balancer{{Name: "www", Groups: []string{"blue"}}}}
	s.Candidates = map[string]resource.ReleaseEntry{"web": {ID: "v2"}}
	d, err := Decide(s)
	if err != nil || d.Intent.Releases["blue"] != "v2" || len(d.Switches) > 0 {
		t.Errorf("%+v, %v", d, err)
	}
	s.Flags.Move = map[string]bool{"www": true}
	if _, err := Decide(s); err == nil || !strings.Contains(err.Error(), "a switch needs two") {
		t.Errorf("switch of one group: %v", err)
	}
}

func TestDecideChangesNothingItWasGiven(t *testing.T) {
	m := serving("v1", "v1")
	before := cloneIntent(m.Intent)
	if _, err := Decide(Situation{Memory: m, Groups: []Group{{Name: "blue", Template: "web"}, {Name: "green", Template: "web"}},
		Balancers:  []Balancer{{Name: "www", Groups: []string{"blue", "green"}}},
		Candidates: map[string]resource.ReleaseEntry{"web": {ID: "v2"}}, Flags: Flags{Scale: map[string]map[string]int{"web": {"app": 2}}}}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before.Releases, m.Intent.Releases) || !maps.Equal(before.Live, m.Intent.Live) || len(m.Intent.Scale) > 0 {
		t.Errorf("the memory was changed: %+v", m.Intent)
	}
}
