package deploy

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// voyage is a change of what a server runs.
type voyage struct {
	name     string
	from, to *target // from nil: nothing runs yet
	serves   bool    // something serves all the while
}

func voyages(t *testing.T) []voyage {
	of := func(compose, version string, scale map[string]int) *target {
		return &target{release: render(t, compose, map[string]string{"VERSION": version}), scale: scale}
	}
	fixed := strings.ReplaceAll(shop, "deploy: { replicas: 3 }", "ports: ['8080:80']")
	front := strings.ReplaceAll(strings.ReplaceAll(shop, "[back]", "[front]"), "networks: { back: {} }", "networks: { front: {} }")
	return []voyage{
		{"first release", nil, of(shop, "v1", nil), false},
		{"next release", of(shop, "v1", nil), of(shop, "v2", nil), true},
		{"a bad release", of(shop, "v1", nil), of(shop, "broken", nil), true},
		{"scale out", of(shop, "v1", nil), of(shop, "v1", map[string]int{"app": 5}), true},
		{"scale in", of(shop, "v1", nil), of(shop, "v1", map[string]int{"app": 1}), true},
		{"stop first", of(fixed, "v1", nil), of(fixed, "v2", nil), false},
		{"stop first, and bad", of(fixed, "v1", nil), of(fixed, "broken", nil), false},
		{"another network", of(shop, "v1", nil), of(front, "v1", nil), false},
	}
}

// TestRolloutIsKilledAnywhere kills the client before and after each of its changes to a server.
// The next rollout, of the same release or of the one before, leaves exactly what it is to.
func TestRolloutIsKilledAnywhere(t *testing.T) {
	for _, v := range voyages(t) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				died := false
				for _, after := range []bool{false, true} {
					died = v.killed(t, at, after, v.to) || died
					if v.from != nil && after {
						v.killed(t, at, after, v.from)
					}
				}
				if !died || t.Failed() {
					return
				}
			}
		})
	}
}

// killed does the voyage, dies at one change, and rolls to a target. It reports false when the
// voyage was over before.
func (v voyage) killed(t *testing.T, at int, after bool, next *target) bool {
	t.Helper()
	w := newWorld(t)
	defer func() { // thousands of worlds are too many to keep until the end
		w.http.Close()
		_ = os.RemoveAll(w.root)
	}()
	if v.from != nil {
		w.rolled(*v.from)
	}
	if v.serves {
		w.check = w.serves
	}
	w.arm(at, after)
	var told said
	_ = w.roll(t.Context(), *v.to, &told)
	died, dead := w.revive()
	if !dead {
		return false
	}

	to := *next
	err := w.roll(t.Context(), to, &told)
	version := fmt.Sprint(to.release.Services["app"].Environment["VERSION"])
	if version == "broken" && err != nil {
		to = *v.from // and the one before is as it was
		err = nil
		version = "v1"
	}
	if err != nil {
		t.Errorf("killed at change %d (%s, after: %v): %v", at, died, after, err)
	}
	n := to.release.Services["app"].Replicas
	if scaled, ok := to.scale["app"]; ok {
		n = scaled
	}
	w.runs("app", version, n)
	w.runs("proxy", "", 1)
	w.told()
	if why := w.condition(); why != "" && !(version == "v1" && strings.Contains(why, "cut short")) {
		t.Errorf("out of order: %s", why)
	}
	w.mu.Lock()
	if len(w.networks) != 1 {
		t.Errorf("networks: %v", w.networks)
	}
	for _, err := range w.broken {
		t.Error(err)
	}
	w.mu.Unlock()
	if t.Failed() {
		t.Logf("killed at change %d (%s), after: %v, next %s x %d\n%s", at, died, after, version, n, strings.Join(told.lines, "\n"))
	}
	return true
}
