package stack

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// listed writes wanted resources as JSON, one a line.
func listed(t *testing.T, wanted []Wanted) string {
	t.Helper()
	var b strings.Builder
	for _, w := range wanted {
		spec, err := resource.Encode(w.Spec)
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.MarshalIndent(map[string]any{"address": w.Address, "provider": w.Provider, "needs": w.Needs, "place": w.Place, "spec": spec}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func TestEveryBlockBecomesWhatItSays(t *testing.T) {
	s := read(t, example(t, "everything.hcl"), Options{})
	if s.State.Text != "s3://states/everything" {
		t.Errorf("state is %s", s.State)
	}
	wanted, err := Wants(s, Selection{
		Live: map[string]string{"www": "green"}, Releases: map[string]string{"blue": "r2", "green": "r1"},
		Scale: map[string]map[string]int{"web": {"worker": 2}}, Digest: func(secret string) string { return "digest of a secret of 7" },
	})
	if err != nil {
		t.Fatal(err)
	}
	got := listed(t, wanted)
	if strings.Contains(got, "hunter2") {
		t.Error("a spec holds a secret")
	}
	compare(t, "testdata/good/everything.golden", got)
	for i, w := range wanted {
		if err := w.Address.Valid(); err != nil {
			t.Error(err)
		}
		if w.Address.Kind() != w.Spec.Kind() {
			t.Errorf("%s has the spec of a %s", w.Address, w.Spec.Kind())
		}
		for _, need := range w.Needs {
			if !strings.Contains(got, `"address": "`+need.String()+`"`) {
				t.Errorf("%s needs %s, which nobody wants", w.Address, need)
			}
		}
		if i > 0 && wanted[i-1].Address.Compare(w.Address) >= 0 {
			t.Errorf("%s stands after %s", w.Address, wanted[i-1].Address)
		}
	}
}

func TestWantsDoesNotShare(t *testing.T) {
	s := read(t, example(t, "everything.hcl"), Options{})
	sel := Selection{Digest: func(string) string { return "d" }, Releases: map[string]string{"blue": "r1"}}
	first, err := Wants(s, sel)
	if err != nil {
		t.Fatal(err)
	}
	before := listed(t, first)
	for _, w := range first {
		switch spec := w.Spec.(type) {
		case *resource.ServerSpec:
			spec.Need, spec.Keys, spec.Options = nil, append(spec.Keys[:0], resource.LoadBalancer("x")), nil
		case *resource.FirewallSpec:
			spec.Inbound[0].Addresses[0] = "changed"
		case *resource.LoadBalancerSpec:
			spec.Listeners[0].Port = 1
		}
	}
	second, err := Wants(s, sel)
	if err != nil {
		t.Fatal(err)
	}
	if after := listed(t, second); after != before {
		t.Errorf("it changed to\n%s", after)
	}
}

func TestALiveGroupIsNotForgotten(t *testing.T) {
	s := read(t, example(t, "design.hcl"), Options{Vars: map[string]string{"mongodb_url": "mongodb://db"}})
	_, err := Wants(s, Selection{Live: map[string]string{"www": "red"}})
	if err == nil || !strings.Contains(err.Error(), `cloudship.hcl:29: load balancer www: its live group "red"`) || !strings.Contains(resource.HintOf(err), "put \"red\" back") {
		t.Errorf("%v, hint %q", err, resource.HintOf(err))
	}
}

func TestGroupsKnowTheirBalancerAndTwin(t *testing.T) {
	s := read(t, example(t, "everything.hcl"), Options{})
	for name, want := range map[string][2]string{"blue": {"www", "green"}, "green": {"www", "blue"}, "alone": {"", ""}} {
		if g := s.Group(name); g.Balancer != want[0] || g.Twin != want[1] {
			t.Errorf("%s is behind %q with %q", name, g.Balancer, g.Twin)
		}
	}
	if len(s.GroupsOf("web")) != 3 || len(s.KeysOf(s.Group("blue"))) != 2 || s.Provider("far").Plugin != "digitalocean" || s.Provider("far").Config().Values["region"] != "nyc3" {
		t.Errorf("groups %d, keys %v, provider %+v", len(s.GroupsOf("web")), s.KeysOf(s.Group("blue")), s.Provider("far"))
	}
}

func BenchmarkWants(b *testing.B) {
	src := "stack \"shop\" {}\nprovider \"cloud\" {}\ntemplate \"web\" { compose = \"c.yaml\" }\ngroup \"web\" {\n  servers = 1000\n  size = \"small\"\n  template = \"web\"\n}\n"
	s, diags := load(b.TempDir(), []byte(src), Options{})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	for b.Loop() {
		if _, err := Wants(s, Selection{Releases: map[string]string{"web": "r1"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStatsAreOfEveryServer(t *testing.T) {
	for _, test := range []struct {
		block string
		want  *resource.Sampling
	}{
		{"", nil},
		{"stats {}", &resource.Sampling{History: 7 * 86400, Every: 60}},
		{`stats { history = "14d", every = "10s", prometheus = 9100 }`, &resource.Sampling{History: 14 * 86400, Every: 10, Prometheus: 9100, Listen: "127.0.0.1"}},
		{`stats { history = 0, prometheus = 9100, listen = "private" }`, &resource.Sampling{Prometheus: 9100, Listen: "private"}},
	} {
		src := "stack \"shop\" {}\nprovider \"digitalocean\" {}\ntemplate \"web\" { compose = \"compose.yaml\" }\ngroup \"one\" {\n  servers  = 2\n  template = \"web\"\n}\n" + test.block + "\n"
		s, diags := load(t.TempDir(), []byte(src), Options{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		wanted, err := Wants(s, Selection{})
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, w := range wanted {
			if spec, ok := w.Spec.(*resource.DockerSpec); ok {
				count++
				if !reflect.DeepEqual(spec.Stats, test.want) {
					t.Errorf("%s: %+v, want %+v", test.block, spec.Stats, test.want)
				}
			}
		}
		if count != 2 {
			t.Errorf("%d servers", count)
		}
	}
}
