package deploy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// held is the story's template: a container that only holds data, and an application that takes its
// volumes.
const held = `
name: shop
services:
  data:
    image: base
    command: ["true"]
    volumes: [/var/lib/db]
  app:
    image: app
    environment: { ROW: "${VERSION}", VERSION: "${APP}" }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    volumes_from: [data]
`

// writers wants at most one running container to write to each volume.
func (w *world) writers() error {
	by := map[string]string{}
	for _, c := range w.containers {
		for _, m := range c.Mounts {
			if !c.State.Running || !m.RW {
				continue
			}
			if other := by[m.Name]; other != "" {
				return fmt.Errorf("%s and %s write to %s at once", other, c.Name, m.Name)
			}
			by[m.Name] = c.Name
		}
	}
	return nil
}

// TestF8DataOutlivesTenReleases wants the rows of all releases in the volume, whether an
// application takes it from a container that holds it or names it; and never two that write.
func TestF8DataOutlivesTenReleases(t *testing.T) {
	named := strings.NewReplacer("    volumes: [/var/lib/db]\n", "", "volumes_from: [data]", "volumes: [\"db:/var/lib/db\"]", "[\"true\"]\n", "[\"true\"]\n    restart: \"no\"\n").Replace(held) + "volumes: { db: {} }\n"
	for volume, compose := range map[string]string{"shop_data-var-lib-db": held, "shop_db": named} {
		t.Run(volume, func(t *testing.T) {
			w := newWorld(t)
			w.check = w.writers
			want := ""
			for n := range 10 {
				told := w.rolled(target{release: render(t, compose, map[string]string{"VERSION": fmt.Sprint("v", n), "APP": "1"})})
				want += fmt.Sprint("v", n, " ")
				if n > 0 && !strings.Contains(strings.Join(told.lines, "\n"), "stopping shop-app-1") {
					t.Fatalf("release %d: %q", n, told.lines)
				}
			}
			if have := w.volumes[volume]["Rows"]; have != want {
				t.Errorf("rows %q, want %q", have, want)
			}
			if holder := w.of("data"); len(holder) != 1 || holder[0].runs != 1 {
				t.Errorf("the container that holds the data was made anew: %v", holder)
			}
			if err := errors.Join(w.broken...); err != nil {
				t.Error(err)
			}
			// A release that does not come up leaves the old one writing.
			err := w.roll(t.Context(), target{release: render(t, compose, map[string]string{"VERSION": "bad", "APP": "crashes"})}, &said{})
			if err == nil || !w.of("app")[0].State.Running || w.writers() != nil {
				t.Errorf("after a bad release: %v", err)
			}
		})
	}
}

// TestWriterMovesToAnotherService wants the old writer of a single-writer volume to stop before the
// new one starts, though it is another service.
func TestWriterMovesToAnotherService(t *testing.T) {
	before := "name: shop\nservices: { app: { image: app, environment: { ROW: old }, volumes: [\"db:/db\"] } }\nvolumes: { db: {} }\n"
	after := "name: shop\nservices: { backend: { image: app, environment: { ROW: new }, volumes: [\"db:/db\"] } }\nvolumes: { db: {} }\n"
	w := newWorld(t)
	w.check = w.writers
	w.rolled(target{release: render(t, before, nil)})
	told := w.rolled(target{release: render(t, after, nil)})
	if text := strings.Join(told.lines, "\n"); !strings.Contains(text, "stopping shop-app-1 first: volume db has a single writer, which is backend now") {
		t.Errorf("told %q", told.lines)
	}
	if err := errors.Join(w.broken...); err != nil || w.volumes["shop_db"]["Rows"] != "old new " {
		t.Errorf("%v, rows %q", err, w.volumes["shop_db"]["Rows"])
	}
}
