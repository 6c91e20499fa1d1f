package plan

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// A voyage is a command in a situation.
type voyage struct {
	name  string
	setup func(t *testing.T, d *desk)
	act   wish
	again wish // after a kill; zero: act
	check func(t *testing.T, d *desk)
}

func must(t *testing.T, d *desk, w wish) *Plan {
	t.Helper()
	p, r, err := d.apply(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) > 0 || r.Interrupted {
		t.Fatalf("%v: %+v\n%s", w, r, strings.Join(d.sim.log, "\n"))
	}
	return p
}

var applyWish = wish{command: "apply"}
var switchWish = wish{command: "apply --switch", flags: Flags{Switch: true}}

func voyages() []voyage {
	first := func(t *testing.T, d *desk) { must(t, d, applyWish) }
	return []voyage{
		{name: "first apply", act: applyWish},
		{name: "update", act: applyWish, setup: func(t *testing.T, d *desk) {
			first(t, d)
			d.file.release, d.file.listeners = "v2", 8080
		}},
		{name: "replacement", act: applyWish, setup: func(t *testing.T, d *desk) {
			first(t, d)
			d.file.size = "large"
		}},
		{name: "lone replacement", act: applyWish, setup: func(t *testing.T, d *desk) {
			d.file.groups = []string{"blue"}
			first(t, d)
			d.file.size = "large"
		}},
		{name: "lone update", act: applyWish, setup: func(t *testing.T, d *desk) {
			d.file.groups, d.file.servers = []string{"blue"}, 3
			first(t, d)
			d.file.release = "v2"
		}},
		{name: "switch", act: switchWish, setup: func(t *testing.T, d *desk) {
			first(t, d)
			d.file.release = "v2"
		}},
		{name: "rollback", act: wish{command: "rollback", flags: Flags{Rollback: map[string]string{"www": ""}}}, again: applyWish, setup: func(t *testing.T, d *desk) {
			first(t, d)
			d.file.release = "v2"
			must(t, d, switchWish)
		}},
		{name: "switched back", act: switchWish, again: applyWish, setup: func(t *testing.T, d *desk) {
			first(t, d)
			d.file.release = "v2"
			d.sim.badPhase["v2"] = PhaseWatch
		}},
		{name: "heal live", act: applyWish, setup: func(t *testing.T, d *desk) {
			first(t, d)
			d.sim.byHand(resource.Server("blue", 0))
		}},
		{name: "grow and shrink", act: applyWish, setup: func(t *testing.T, d *desk) {
			d.file.servers = 3
			first(t, d)
			d.file.servers = 2
		}},
		{name: "network moves", act: applyWish, setup: func(t *testing.T, d *desk) {
			d.file.groups, d.file.balancer = []string{"blue"}, false
			first(t, d)
			d.file.network = "wan"
		}},
		{name: "destroy", act: wish{command: "destroy", destroy: true}, setup: first, check: func(t *testing.T, d *desk) {
			for _, thing := range d.sim.things {
				if thing.gone.IsZero() {
					t.Errorf("left after destroy: %s", thing.found.Mark)
				}
			}
			if d.sim.tags {
				t.Error("the provider's tag is left after destroy")
			}
			if records := d.memory().Records; len(records) > 0 {
				t.Errorf("records left after destroy: %v", records)
			}
		}},
	}
}

// settled checks what must hold when a run has ended well: a second plan is empty, each wanted thing
// is there once and in the state, nothing else is, and no promise was broken on the way.
func (d *desk) settled(t *testing.T, w wish) {
	t.Helper()
	if w.destroy {
		return
	}
	p, _, err := d.plan(t.Context(), applyWish)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Empty() {
		t.Errorf("the second plan is not empty: %v", ids(p))
	}
	m := d.memory()
	decision, err := Decide(d.situation(m, Flags{}))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[resource.Address]bool{}
	for _, want := range d.file.wants(decision.Intent) {
		a := want.Address
		wanted[a] = true
		if k := a.Kind(); hosted(k) || k == resource.KindMembers {
			continue
		}
		things := d.sim.of(a)
		if len(things) != 1 {
			t.Errorf("%s is there %d times", a, len(things))
		} else if rec := m.Records[a]; rec.ID != things[0].found.ID || rec.Announced {
			t.Errorf("%s: the state has %q, announced %v, the cloud %q", a, rec.ID, rec.Announced, things[0].found.ID)
		}
	}
	waits := func(a resource.Address) bool {
		return slices.ContainsFunc(p.Deferred, func(d Deferral) bool { return d.Address == a })
	}
	for _, thing := range d.sim.things {
		if a := thing.found.Mark.Address; thing.gone.IsZero() && !wanted[a] && !waits(a) {
			t.Errorf("an orphan: %s", thing.found.Mark)
		}
	}
	if len(m.Extra) > 0 || len(m.Intent.Switch) > 0 {
		t.Errorf("left in the state: extra %v, switch %v", m.Extra, m.Intent.Switch)
	}
}

func (d *desk) situation(m resource.Memory, f Flags) Situation {
	groups, balancers := d.file.shapes()
	s := Situation{Memory: m, Groups: groups, Balancers: balancers, Flags: f}
	if d.file.template {
		s.Candidates = map[string]resource.ReleaseEntry{"web": {ID: d.file.release, Template: "web"}}
	}
	return s
}

func ids(p *Plan) []string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.ID)
	}
	return list
}

func (d *desk) unbroken(t *testing.T) {
	t.Helper()
	for _, w := range d.sim.wrong {
		t.Error(w)
	}
	if t.Failed() {
		t.Logf("calls:\n%s", strings.Join(d.sim.log, "\n"))
	}
}

func TestVoyagesConverge(t *testing.T) {
	for _, v := range voyages() {
		t.Run(v.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &desk{sim: newSim(), file: pairFile(), saved: true}
				if v.setup != nil {
					v.setup(t, d)
				}
				_, _, err := d.apply(t.Context(), v.act)
				if err != nil {
					t.Fatal(err)
				}
				d.settled(t, v.act)
				if v.check != nil {
					v.check(t, d)
				}
				d.unbroken(t)
			})
		})
	}
}

// TestKillAnywhere kills the program at every call and every commit of every voyage, before and
// after the effect, with lists that lag at every other, and lets it run again.
func TestKillAnywhere(t *testing.T) {
	for _, v := range voyages() {
		t.Run(v.name, func(t *testing.T) {
			for cut := 1; ; cut++ {
				reached := false
				for i, after := range []bool{false, true} {
					lag := time.Duration((cut+i)%2) * 3 * time.Second
					reached = killed(t, v, cut, after, lag) || reached
					if t.Failed() {
						t.Fatalf("killed at boundary %d, after its effect: %v, lag %s", cut, after, lag)
					}
				}
				if !reached {
					if cut < 5 {
						t.Fatalf("only %d boundaries", cut)
					}
					return
				}
			}
		})
	}
}

// killed runs one voyage that is killed at a boundary, and reports whether there was such a one.
func killed(t *testing.T, v voyage, cut int, after bool, lag time.Duration) (reached bool) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{sim: newSim(), file: pairFile()}
		d.sim.lag = lag
		if v.setup != nil {
			v.setup(t, d)
		}
		d.sim.calls, d.sim.cut, d.sim.cutAfter, d.sim.log = 0, cut, after, nil
		_, _, _ = d.apply(t.Context(), v.act)
		reached = d.sim.dead
		d.sim.dead, d.sim.cut = false, 0
		d.sim.log = append(d.sim.log, "---- again")
		again := v.again
		if again.command == "" {
			again = v.act
		}
		if _, r, err := d.apply(t.Context(), again); err != nil {
			t.Fatal(err)
		} else if len(r.Failed) > 0 && r.Outcome == "" {
			t.Errorf("the run after the kill: %v", r.Failed)
		}
		d.settled(t, again)
		if v.check != nil {
			v.check(t, d)
		}
		d.unbroken(t)
	})
	return reached
}

// TestLostAnswers loses one answer in ten after its effect, with lists that lag.
func TestLostAnswers(t *testing.T) {
	for _, v := range voyages() {
		t.Run(v.name, func(t *testing.T) {
			for seed := range uint64(10) {
				synctest.Test(t, func(t *testing.T) {
					d := &desk{sim: newSim(), file: pairFile()}
					d.sim.lag = 2 * time.Second
					if v.setup != nil {
						v.setup(t, d)
					}
					d.sim.random, d.sim.lose = newRandom(seed), 0.1
					_, r, err := d.apply(t.Context(), v.act)
					if err != nil {
						t.Fatal(err)
					}
					if len(r.Failed) > 0 && r.Outcome == "" {
						t.Errorf("failed: %v", r.Failed)
					}
					d.sim.lose = 0
					d.settled(t, v.act)
					if v.check != nil {
						v.check(t, d)
					}
					d.unbroken(t)
				})
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// TestCancelAnywhere ends the context at every call; what runs is let finish, and the next run goes
// on.
func TestCancelAnywhere(t *testing.T) {
	for _, v := range voyages() {
		t.Run(v.name, func(t *testing.T) {
			for at := 1; at < 200; at++ {
				reached := false
				synctest.Test(t, func(t *testing.T) {
					d := &desk{sim: newSim(), file: pairFile()}
					if v.setup != nil {
						v.setup(t, d)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					stop := d.sim.calls + at
					d.sim.log = nil
					d.sim.onCall = func() {
						if d.sim.calls == stop {
							reached = true
							cancel()
						}
					}
					_, _, _ = d.apply(ctx, v.act)
					d.sim.onCall = nil
					again := v.again
					if again.command == "" {
						again = v.act
					}
					if _, r, err := d.apply(t.Context(), again); err != nil {
						t.Fatal(err)
					} else if len(r.Failed) > 0 && r.Outcome == "" {
						t.Errorf("the run after: %v", r.Failed)
					}
					d.settled(t, again)
					d.unbroken(t)
				})
				if t.Failed() {
					t.Fatalf("cancelled at call %d", at)
				}
				if !reached {
					return
				}
			}
		})
	}
}

// TestCancelledSwitchIsUndoneBeforeItsCommit ends the context at each phase: before the commit the
// members go back at once, after it the switch stays where it is and the next run finishes it.
func TestCancelledSwitchIsUndoneBeforeItsCommit(t *testing.T) {
	for _, phase := range []string{PhaseTest, PhaseGate, PhaseDrain, PhaseWatch} {
		t.Run(phase, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &desk{sim: newSim(), file: pairFile()}
				must(t, d, applyWish)
				d.file.release = "v2"
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				d.sim.onRoute = func(p string) {
					if p == phase {
						cancel()
					}
				}
				_, r, err := d.apply(ctx, switchWish)
				if err != nil || !r.Interrupted || len(r.Failed) > 0 || r.Outcome != "" {
					t.Errorf("%+v, %v", r, err)
				}
				d.sim.onRoute = nil
				m, members := d.memory(), d.sim.membersOf(d.sim.of(resource.LoadBalancer("www"))[0])
				under, switching := m.Intent.Switch["www"]
				if before := phase == PhaseTest || phase == PhaseGate; before {
					if switching || m.Intent.Live["www"] != "blue" || len(members.Facts.Members) != 2 {
						t.Errorf("not undone: %+v, members %v", m.Intent, members.Facts.Members)
					}
				} else if !switching || under.Phase != phase || m.Intent.Live["www"] != "green" {
					t.Errorf("not kept: %+v", m.Intent)
				}
				must(t, d, applyWish)
				d.settled(t, applyWish)
				d.unbroken(t)
			})
		})
	}
}

func TestSwitchKeepsTheOldReleaseReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{sim: newSim(), file: pairFile()}
		must(t, d, applyWish)
		d.file.release = "v2"
		must(t, d, switchWish)
		m := d.memory()
		if m.Intent.Live["www"] != "green" || m.Intent.Releases["green"] != "v2" || m.Intent.Releases["blue"] != "v1" {
			t.Errorf("intent after the switch: %+v", m.Intent)
		}
		if p := must(t, d, switchWish); !p.Empty() {
			t.Errorf("switching twice: %v", ids(p))
		}
		must(t, d, wish{command: "rollback", flags: Flags{Rollback: map[string]string{"www": ""}}})
		m = d.memory()
		if m.Intent.Live["www"] != "blue" || !slices.Contains(m.Intent.Bad["www"], "v2") {
			t.Errorf("intent after the rollback: %+v", m.Intent)
		}
		if _, _, err := d.apply(t.Context(), switchWish); err == nil {
			t.Error("a release that was rolled back from is switched to again")
		}
		again := switchWish
		again.flags.Again = true
		must(t, d, again)
		if m = d.memory(); m.Intent.Live["www"] != "green" || len(m.Intent.Bad) > 0 {
			t.Errorf("intent after --again: %+v", m.Intent)
		}
		d.unbroken(t)
	})
}

func TestBadReleaseIsSwitchedBack(t *testing.T) {
	for phase, outcome := range map[string]Outcome{
		PhaseTest: Refused, PhaseGate: Refused, PhaseDrain: SwitchedBack, PhaseWatch: SwitchedBack,
	} {
		t.Run(phase, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &desk{sim: newSim(), file: pairFile()}
				must(t, d, applyWish)
				d.file.release = "v2"
				d.sim.badPhase["v2"] = phase
				_, r, err := d.apply(t.Context(), switchWish)
				if err != nil || r.Outcome != outcome {
					t.Errorf("outcome %q, want %q: %+v, %v", r.Outcome, outcome, r, err)
				}
				m := d.memory()
				if m.Intent.Live["www"] != "blue" || len(m.Intent.Switch) > 0 {
					t.Errorf("intent: %+v", m.Intent)
				}
				if bad := slices.Contains(m.Intent.Bad["www"], "v2"); bad != (outcome == SwitchedBack) {
					t.Errorf("bad: %v", m.Intent.Bad)
				}
				d.settled(t, switchWish)
				d.unbroken(t)
			})
		})
	}
}

// TestLostStateComesBackWithAnEmptyPlan rebuilds the memory from what the cloud and the hosts tell.
func TestLostStateComesBackWithAnEmptyPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{sim: newSim(), file: pairFile()}
		must(t, d, applyWish)
		d.file.release = "v2"
		must(t, d, switchWish)
		kept := d.stored.Releases
		have, err := Refresh(t.Context(), d.drivers(), resource.Memory{Stack: stackID}, RefreshOptions{Clouds: true, Hosts: true})
		if err != nil {
			t.Fatal(err)
		}
		d.stored = resource.Memory{Stack: stackID, Records: have.Records, Releases: kept, Intent: resource.Intent{Live: map[string]string{}, Releases: map[string]string{}}}
		for _, rec := range have.Records {
			switch spec := rec.Found.Spec.(type) {
			case *resource.RouteSpec:
				d.stored.Intent.Live["www"] = spec.Live
			case *resource.ReleaseSpec:
				d.stored.Intent.Releases[rec.Mark.Address.Name] = spec.Release
			}
		}
		if d.stored.Intent.Live["www"] != "green" {
			t.Errorf("live: %v", d.stored.Intent.Live)
		}
		if p := must(t, d, applyWish); !p.Empty() || len(p.Drift) > 0 {
			t.Errorf("the plan after a rebuild: %v, drift %v", ids(p), p.Drift)
		}
		d.settled(t, applyWish)
		d.unbroken(t)
	})
}
