package balancer

import (
	"strings"
	"testing"
)

func poolOf(t *testing.T, backends ...Backend) *pool {
	t.Helper()
	p := &pool{}
	var members []*member
	for _, b := range backends {
		b.Address = "192.0.2.1"
		members = append(members, newMember(t.Context(), Config{StartHealthy: true}, b))
	}
	p.replace(members)
	return p
}

func turns(p *pool, n int) string {
	var ids []string
	for range n {
		m, _ := p.choose("")
		if m == nil {
			ids = append(ids, "-")
			continue
		}
		ids = append(ids, m.id)
	}
	return strings.Join(ids, "")
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		name     string
		backends []Backend
		down     string
		want     string
	}{
		{"nobody", nil, "", "--"},
		{"in turn", []Backend{{ID: "a"}, {ID: "b"}, {ID: "c"}}, "", "abcabc"},
		{"by weight, spread out", []Backend{{ID: "a", Weight: 5}, {ID: "b"}, {ID: "c"}}, "", "aabacaa"},
		{"not the unhealthy", []Backend{{ID: "a"}, {ID: "b"}}, "a", "bb"},
		{"none healthy", []Backend{{ID: "a"}, {ID: "b"}}, "ab", "--"},
		{"not the draining, not the disabled", []Backend{{ID: "a", Condition: "draining"}, {ID: "b", Condition: "enabled"}, {ID: "c", Condition: "disabled"}}, "", "bb"},
		{"secondaries wait", []Backend{{ID: "a"}, {ID: "b", Secondary: true}}, "", "aa"},
		{"secondaries stand in", []Backend{{ID: "a"}, {ID: "b", Secondary: true}}, "a", "bb"},
		{"secondaries stand in for what drains", []Backend{{ID: "a", Condition: "draining"}, {ID: "b", Secondary: true}}, "", "bb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := poolOf(t, test.backends...)
			for _, m := range p.members {
				m.health.up = !strings.Contains(test.down, m.id)
			}
			if got := turns(p, len(test.want)); got != test.want {
				t.Errorf("turns %s, want %s", got, test.want)
			}
		})
	}
}

func TestCookieIsHonouredWhileItsBackendIsUsable(t *testing.T) {
	p := poolOf(t, Backend{ID: "a"}, Backend{ID: "b"})
	b := p.members[1]
	for range 3 {
		if m, _ := p.choose(b.cookie); m != b {
			t.Fatalf("the cookie of b led to %s", m.id)
		}
	}
	p.update(b, t.Context(), Backend{ID: "b", Condition: "draining"}, false)
	if m, _ := p.choose(b.cookie); m.id != "a" {
		t.Errorf("the cookie of a draining backend led to %s", m.id)
	}
}

func TestDisabledBackendComesBackWhole(t *testing.T) {
	p := poolOf(t, Backend{ID: "a"})
	m := p.members[0]
	p.update(m, t.Context(), Backend{ID: "a", Condition: "disabled"}, false)
	m.cutNow()
	p.update(m, t.Context(), Backend{ID: "a"}, false)
	got, cut := p.choose("")
	if got != m || cut.Err() != nil {
		t.Errorf("after it was enabled again: chose %v, cut %v", got, cut)
	}
}
