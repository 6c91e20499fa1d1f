package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/cloudship/cloudship/resource"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, have, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s differs (go test ./plan -update rewrites it):\nhave\n%s\nwant\n%s", path, have, want)
	}
}

// A scene is a situation and what is asked for in it; its plan has a golden file.
type scene struct {
	name string
	file file
	do   func(t *testing.T, d *desk) // after the first apply; nil: nothing is there
	wish wish
}

func scenes() []scene {
	lone := pairFile()
	lone.groups = []string{"blue"}
	bare := file{groups: []string{"blue"}, servers: 12, size: "small", listeners: 80, balancer: true}
	data := lone
	data.data, data.balancer = true, false
	single := pairFile()
	single.servers = 1
	to := func(change func(*file)) func(*testing.T, *desk) {
		return func(_ *testing.T, d *desk) { change(&d.file) }
	}
	found := func(a resource.Address, change func(*resource.Found)) func(*testing.T, *desk) {
		return func(_ *testing.T, d *desk) { change(&d.sim.of(a)[0].found) }
	}
	server := func(i int) resource.Address { return resource.Server("blue", i) }
	return []scene{
		{name: "first apply", file: pairFile()},
		{name: "first apply of servers alone", file: bare},
		{name: "nothing to do", file: pairFile(), do: func(*testing.T, *desk) {}},
		{name: "a release goes to the idle group only", file: pairFile(), do: to(func(f *file) { f.release = "v2" })},
		{name: "a release and the switch to it", file: pairFile(), do: to(func(f *file) { f.release = "v2" }), wish: switchWish},
		{name: "a release on a group that is alone", file: lone, do: to(func(f *file) { f.release = "v2" })},
		{name: "a new size waits where it is live", file: pairFile(), do: to(func(f *file) { f.size = "large" })},
		{name: "a new size of a group that is alone", file: lone, do: to(func(f *file) { f.size = "large" })},
		{name: "a new size where data is held", file: data, do: to(func(f *file) { f.size = "large" })},
		{name: "data is named", file: data, do: to(func(f *file) { f.size = "large" }), wish: wish{command: "apply", replace: []resource.Address{server(0)}}},
		{name: "grow", file: pairFile(), do: to(func(f *file) { f.servers = 3 })},
		{name: "shrink", file: pairFile(), do: to(func(f *file) { f.servers = 1 })},
		{name: "a server deleted by hand", file: pairFile(), do: func(_ *testing.T, d *desk) { d.sim.byHand(server(0)) }},
		{name: "a server that is off", file: pairFile(), do: found(server(0), func(f *resource.Found) { f.Broken = "powered off" })},
		{name: "a live server that is dead", file: pairFile(), do: found(server(0), func(f *resource.Found) { f.Problem = "errored" })},
		{name: "a balancer edited by hand", file: pairFile(), do: found(resource.LoadBalancer("www"), func(f *resource.Found) {
			f.Spec.(*resource.LoadBalancerSpec).Listeners[0].TargetPort = 81
		})},
		{name: "a live server resized by hand", file: pairFile(), do: found(server(0), func(f *resource.Found) { f.Spec.(*resource.ServerSpec).Size = "huge" })},
		{name: "a container killed by hand", file: pairFile(), do: func(_ *testing.T, d *desk) {
			d.sim.hosts[d.sim.of(server(0))[0].found.ID].release.Broken = "web-1 is exited"
		}},
		{name: "two with one mark", file: pairFile(), do: func(_ *testing.T, d *desk) {
			twin := *d.sim.of(server(0))[0]
			twin.found.ID = "server-twin"
			d.sim.things[twin.found.ID] = &twin
		}},
		{name: "a host that does not answer", file: pairFile(), do: func(_ *testing.T, d *desk) {
			d.file.release = "v2"
			d.sim.unasked[resource.Server("green", 1)] = "connect to 192.0.2.9: timed out"
		}, wish: switchWish},
		{name: "a host that does not answer is replaced", file: pairFile(), do: func(_ *testing.T, d *desk) {
			d.sim.unasked[resource.Server("green", 1)] = "connect to 192.0.2.9: timed out"
		}, wish: wish{command: "apply", replace: []resource.Address{resource.Server("green", 1)}}},
		{name: "keys wait where they are live", file: pairFile(), do: to(func(f *file) { f.keys = []string{"ssh-ed25519 BBBB"} })},
		{name: "a network that live servers rest on", file: pairFile(), do: to(func(f *file) { f.network = "wan" })},
		{name: "the template is taken away", file: lone, do: to(func(f *file) { f.template, f.balancer = false, false })},
		{name: "the balancer is taken away", file: lone, do: to(func(f *file) { f.balancer = false })},
		{name: "one target", file: pairFile(), do: to(func(f *file) { f.size, f.listeners = "large", 8080 }), wish: wish{command: "apply", targets: []resource.Address{resource.LoadBalancer("www")}}},
		{name: "rollback", file: pairFile(), do: func(t *testing.T, d *desk) {
			d.file.release = "v2"
			must(t, d, switchWish)
		}, wish: wish{command: "rollback", flags: Flags{Rollback: map[string]string{"www": ""}}}},
		{name: "scale reaches live too", file: pairFile(), do: func(*testing.T, *desk) {}, wish: wish{command: "scale", flags: Flags{Scale: map[string]map[string]int{"web": {"app": 3}}}}},
		{name: "a server that is off and does not answer", file: pairFile(), do: func(t *testing.T, d *desk) {
			found(server(0), func(f *resource.Found) { f.Broken = "powered off" })(t, d)
			d.sim.unasked[server(0)] = "connect to 192.0.2.1: timed out"
		}},
		{name: "a replacement that was stopped", file: single, do: func(t *testing.T, d *desk) {
			d.file.size = "large"
			stopped(t, d, applyWish, "create group.green.docker[0] ")
		}},
		{name: "a switch that was stopped before its commit", file: pairFile(), do: func(t *testing.T, d *desk) {
			d.file.release = "v2"
			stopped(t, d, switchWish, "update load_balancer.www.members "+PhaseAttach)
		}},
		{name: "a switch that was stopped after its commit", file: pairFile(), do: func(t *testing.T, d *desk) {
			d.file.release = "v2"
			stopped(t, d, switchWish, "update load_balancer.www.route "+PhaseDrain)
		}},
		{name: "a way back that was stopped", file: pairFile(), do: func(t *testing.T, d *desk) {
			d.file.release = "v2"
			d.sim.badPhase["v2"] = PhaseWatch
			stopped(t, d, switchWish, "update load_balancer.www.route "+PhaseUndo)
		}},
		{name: "destroy", file: pairFile(), do: func(*testing.T, *desk) {}, wish: wish{command: "destroy", destroy: true}},
		{name: "destroy of many", file: bare, do: func(*testing.T, *desk) {}, wish: wish{command: "destroy", destroy: true}},
	}
}

// stopped gives a command and kills it after an operation.
func stopped(t *testing.T, d *desk, w wish, operation string) {
	t.Helper()
	d.sim.onDone = func(op string) {
		if op == operation {
			d.sim.die()
		}
	}
	_, _, err := d.apply(t.Context(), w)
	if err != nil || !d.sim.dead {
		t.Fatalf("not stopped at %q: %v", operation, err)
	}
	d.sim.onDone, d.sim.dead = nil, false
}

// TestPrintedPlans holds every situation's plan, as a reader sees it and as steps with their needs.
func TestPrintedPlans(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &desk{sim: newSim(), file: s.file}
				if s.do != nil {
					must(t, d, applyWish)
					s.do(t, d)
				}
				if s.wish.command == "" {
					s.wish = applyWish
				}
				p, _, err := d.plan(t.Context(), s.wish)
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				Print(&b, p, nil)
				b.WriteString("\nsteps:\n")
				outline(&b, p.Steps, "")
				golden(t, name(s.name)+".golden", b.Bytes())
			})
		})
	}
}

func name(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte(" "), []byte("-"))) }

// outline writes steps with what they need and their way back.
func outline(b *bytes.Buffer, steps []Step, indent string) {
	for _, s := range steps {
		b.WriteString(indent + s.ID)
		if s.Phase != "" {
			b.WriteString(" [" + s.Phase + " " + s.Items[0].Mark.Address.Part + "]")
		}
		if s.Tag != "" {
			b.WriteString(" by tag " + s.Tag)
		}
		if s.Outcome != "" {
			b.WriteString(", or " + string(s.Outcome))
		}
		b.WriteString("\n")
		for _, n := range s.Needs {
			b.WriteString(indent + "    after " + n + "\n")
		}
		if len(s.OnFailure) > 0 {
			b.WriteString(indent + "    on failure\n")
			outline(b, s.OnFailure, indent+"        ")
		}
	}
}

// TestSavedPlan holds the form of a saved plan, so that a change of it is seen, and that it comes
// back as it was.
func TestSavedPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{sim: newSim(), file: pairFile()}
		d.file.servers = 1
		must(t, d, applyWish)
		d.file.release = "v2"
		p, _, err := d.plan(t.Context(), switchWish)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "saved-plan.json", append(b, '\n'))
		q, err := roundTrip(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.MarshalIndent(q, "", "  ")
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("a saved plan comes back differently: %v\n%s", err, again)
		}
	})
}

// FuzzSavedPlan reads plans from anywhere: a damaged one is refused or can at least be shown.
func FuzzSavedPlan(f *testing.F) {
	saved, err := os.ReadFile(filepath.Join("testdata", "saved-plan.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved)
	f.Add([]byte(`{"format":1,"steps":[{"id":"a","do":"create","items":[{"mark":{"stack":"s","address":"group.g.server[0]","generation":1},"spec":{}}]}]}`))
	f.Add([]byte(`{"format":1,"changes":[{"address":"group.g.server[0]","action":"+","fields":[{"name":"x","after":[{"a":1},2]}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Plan
		if json.Unmarshal(b, &p) != nil {
			return
		}
		Print(io.Discard, &p, nil)
		if p.Valid() == nil {
			if _, err := roundTrip(&p); err != nil {
				t.Errorf("a valid plan does not come back: %v", err)
			}
		}
	})
}
