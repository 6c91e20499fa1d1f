package deploy

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
)

// chain is a story's three parts, each of which needs the one before it to be healthy.
const chain = `
name: shop
services:
  web:
    image: web
    depends_on: { app: { condition: service_healthy } }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
  app:
    image: app
    depends_on: { zdb: { condition: service_healthy } }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
  zdb:
    image: zdb
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
`

// TestF12PartsStartInOrder wants each part to start when what it needs is there, at the first rollout
// and when all of them have stopped, as after a start of the server at which nothing came back. By
// themselves all come back: the engine is told to start them.
func TestF12PartsStartInOrder(t *testing.T) {
	w := newWorld(t)
	release := render(t, chain, nil)
	starts := func() string {
		var order []string
		for _, change := range w.changed() {
			id, ok := strings.CutPrefix(change, "POST /containers/{id}/start ")
			if !ok {
				continue
			}
			for _, c := range w.containers {
				if c.ID == id {
					order = append(order, c.Config.Labels[composeService])
				}
			}
		}
		return strings.Join(order, " ")
	}
	w.check = func() error {
		for service, needs := range map[string]string{"web": "app", "app": "zdb"} {
			for _, c := range w.containers {
				if c.Config.Labels[composeService] != service || !c.State.Running {
					continue
				}
				up := false
				for _, other := range w.containers {
					up = up || other.Config.Labels[composeService] == needs && other.State.Running
				}
				if !up {
					t.Errorf("%s runs without %s", service, needs)
				}
			}
		}
		return nil
	}
	w.arm(0, false)
	w.rolled(target{release: release})
	if have := starts(); have != "zdb app web" {
		t.Errorf("started %q, want zdb app web", have)
	}
	for _, c := range w.containers {
		if policy := c.HostConfig.RestartPolicy.Name; policy != container.RestartPolicyUnlessStopped {
			t.Errorf("%s has restart policy %q: it would not come back", c.Name, policy)
		}
		w.state(c, container.StateExited, 137)
	}
	w.arm(0, false)
	w.rolled(target{release: release})
	if have := starts(); have != "zdb app web" {
		t.Errorf("started again %q, want zdb app web", have)
	}
}
