package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// sites are two applications on random ports of the server, one as Compose has it and one with
// publish_all, behind one proxy.
const sites = `
name: shop
services:
  app:
    image: app
    environment: { VERSION: "${APP}" }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    ports: ["9292"]
  blog:
    image: blog
    environment: { VERSION: "${BLOG}" }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    expose: ["8080"]
    x-cloudship: { publish_all: true }
  proxy:
    image: proxy
    configs: [{ source: upstreams, target: /upstreams }]
    x-cloudship:
      hooks:
        - on: [start:app, start:blog]
          command: [reload]
configs:
  upstreams:
    content: |
      app={{ app | host_ip }}:{{ app | port_9292 }}
      blog={{ blog | host_ip }}:{{ blog | port_8080 }}
`

// Two applications are on whatever ports the engine gives them; after each update of either the
// proxy sends to where they are now.
func TestF5TheProxyFindsRandomPorts(t *testing.T) {
	w := newWorld(t)
	before := ""
	for _, versions := range [][2]string{{"v1", "v1"}, {"v2", "v1"}, {"v2", "v2"}, {"v3", "v3"}, {"v3", "v3"}} {
		w.rolled(target{release: render(t, sites, map[string]string{"APP": versions[0], "BLOG": versions[1]})})
		w.runs("app", versions[0], 1)
		w.runs("blog", versions[1], 1)
		want := []string{
			"app=10.0.0.1:" + hostPort(t, w.of("app")[0], "9292/tcp"),
			"blog=10.0.0.1:" + hostPort(t, w.of("blog")[0], "8080/tcp"),
		}
		if have := w.of("proxy")[0].upstreams; !slices.Equal(have, want) {
			t.Errorf("at %v the proxy sends to %v, want %v", versions, have, want)
		}
		if now := strings.Join(want, " "); now == before && versions != [2]string{"v3", "v3"} {
			t.Errorf("the ports are the same as before, %s: this shows nothing", now)
		} else {
			before = now
		}
	}
}

func hostPort(t *testing.T, c *fakeContainer, name string) string {
	t.Helper()
	port, err := network.ParsePort(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range c.NetworkSettings.Ports[port] {
		return b.HostPort
	}
	t.Fatalf("%s has no host port for %s", c.Name, name)
	return ""
}

// The story's script picked the old container by its port, started the new one without a check, and
// removed what it had picked.
func TestF13AnUpdateTouchesTheRightContainers(t *testing.T) {
	compose := strings.ReplaceAll(shop, "deploy: { replicas: 3 }", `ports: ["9292"]`)
	w := newWorld(t)
	v1 := target{release: render(t, compose, map[string]string{"VERSION": "v1"})}
	w.rolled(v1)
	foreign := w.foreign(t, "/fantasyreality-app-1", "9292/tcp")
	first := w.of("app")[0].ID

	t.Run("F13NothingIsDoneForTheSameImage", func(t *testing.T) {
		w.arm(0, false)
		w.rolled(v1)
		for _, change := range w.changed() {
			if !strings.HasPrefix(change, "write ") { // what is noted of releases
				t.Errorf("it did: %s", change)
			}
		}
	})
	t.Run("F13TheOldOneStaysWhenTheNewOneFails", func(t *testing.T) {
		w.check = w.serves
		for _, version := range []string{"broken", "crashes"} {
			var told said
			err := w.roll(t.Context(), target{release: render(t, compose, map[string]string{"VERSION": version})}, &told)
			var bad *containerError
			if !errors.As(err, &bad) {
				t.Fatalf("%s: %v, want the container's error", version, err)
			}
			w.runs("app", "v1", 1)
			w.told()
			if w.of("app")[0].ID != first {
				t.Errorf("%s: the old container is another one", version)
			}
		}
	})
	t.Run("F13TheWrongOneIsNeverRemoved", func(t *testing.T) {
		for i := range 5 {
			version := fmt.Sprint("v", i+2)
			w.rolled(target{release: render(t, compose, map[string]string{"VERSION": version})})
			w.runs("app", version, 1)
			w.told()
		}
		if now, ok := w.containers[foreign]; !ok || !now.State.Running || now.runs != 0 {
			t.Error("a container of somebody else was touched")
		}
	})
	for _, err := range w.broken {
		t.Error(err)
	}
}

// foreign is a container that somebody started by hand; it looks like one of ours.
func (w *world) foreign(t *testing.T, name, port string) string {
	t.Helper()
	p, err := network.ParsePort(port)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &fakeContainer{}
	c.ID, c.Name = "f"+strings.Repeat("0", 63), name
	c.Config = &container.Config{Image: "app", Labels: map[string]string{"com.example.by": "hand"}, ExposedPorts: network.PortSet{p: {}}}
	c.HostConfig = &container.HostConfig{PublishAllPorts: true}
	c.NetworkSettings = &container.NetworkSettings{}
	c.State = &container.State{Status: container.StateRunning, Running: true}
	w.containers[c.ID] = c
	return c.ID
}
