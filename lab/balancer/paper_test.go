package balancer

import (
	"log/slog"
	"testing"
)

func TestPaperObeysConditions(t *testing.T) {
	up := map[string]bool{"one": true, "two": true, "three": true}
	c := Config{ID: "lb", Address: home, Rules: []Rule{{EntryProtocol: "http", EntryPort: freePort(t), TargetProtocol: "http", TargetPort: 80}}}
	p, err := NewPaper(t.Context(), c, func(id string) bool { return up[id] }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	for _, test := range []struct {
		name     string
		backends []Backend
		want     string
	}{
		{"the enabled one", []Backend{{ID: "a", Server: "one", Condition: "draining"}, {ID: "b", Server: "two"}}, "b"},
		{"the primary one", []Backend{{ID: "a", Server: "one", Secondary: true}, {ID: "b", Server: "two"}}, "b"},
		{"the secondary one", []Backend{{ID: "a", Server: "one", Secondary: true}, {ID: "b", Server: "none"}}, "a"},
		{"none", []Backend{{ID: "a", Server: "one", Condition: "disabled"}, {ID: "b", Server: "none"}}, ""},
	} {
		c.Backends = test.backends
		if err := p.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		_, _, header := get(newClient(), c.url(0))
		if have := header.Get("X-Backend"); have != test.want {
			t.Errorf("%s: %q answered, want %q", test.name, have, test.want)
		}
		for _, b := range test.backends {
			if have := p.Health()[b.ID]; have != up[b.Server] {
				t.Errorf("%s: health of %s is %v", test.name, b.ID, have)
			}
		}
	}
}
