package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// shop is a cluster behind a proxy that has the cluster's addresses in a file.
const shop = `
name: shop
services:
  app:
    image: app
    environment: { VERSION: "${VERSION}" }
    deploy: { replicas: 3 }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    networks: [back]
  proxy:
    image: proxy
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    configs: [{ source: upstreams, target: /upstreams }]
    networks: [back]
    x-cloudship:
      hooks:
        - on: [start:app, stop:app, scale_out:app, scale_in:app]
          command: [reload]
networks: { back: {} }
configs:
  upstreams:
    content: |
      {{ app | container_private_ip }}
      ${EXTRA}
`

// render makes a release of a Compose text.
func render(t testing.TB, compose string, inputs map[string]string) *template.Release {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(compose), 0o600); err != nil {
		t.Fatal(err)
	}
	o := template.Options{Name: "shop", Dir: dir, Inputs: map[string]template.Input{"EXTRA": {}}, Images: pinned}
	for name, value := range inputs {
		o.Inputs[name] = template.Input{Value: value}
	}
	rendered, err := template.Render(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rendered.Release
}

// pinned says that every image is in a registry.
func pinned(_ context.Context, r template.ImageRequest) (template.Image, error) {
	return template.Image{Name: r.Name, Digest: "sha256:" + strings.Repeat("a", 64), Source: template.FromRegistry}, nil
}

// target is what a server is to run.
type target struct {
	release *template.Release
	scale   map[string]int
	secrets map[string]string
}

// said is what a rollout told.
type said struct{ lines []string }

func (s *said) say(line string) { s.lines = append(s.lines, line) }

// roll does one rollout with all that goes with it, as releases.put does.
func (w *world) roll(ctx context.Context, to target, told *said) error {
	return w.rollAs(ctx, w.engine(), folder{host: w, root: w.root}, to, told)
}

// rollAs is roll for a stack of one's own choice.
func (w *world) rollAs(ctx context.Context, e *engine, f folder, to target, told *said) error {
	id, err := to.release.ID()
	if err != nil {
		w.t.Fatal(err)
	}
	document, err := to.release.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	entry := resource.ReleaseEntry{ID: id, Template: "shop", Document: document}
	if err := f.keep(ctx, entry, false); err != nil {
		return err
	}
	images := map[string]string{}
	for name, s := range to.release.Services {
		images[name] = s.Image.Reference()
	}
	d := &releases{}
	r := &rollout{
		engine: e, folder: f, release: to.release, id: id, group: "one", server: resource.Server("one", 0), hostIP: "10.0.0.1",
		scale: to.scale, secrets: to.secrets, images: images, say: told.say, now: time.Now, once: d.once(id, false),
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	if err := r.record(ctx, currentFile{Template: "shop", Release: id, Scale: to.scale}); err != nil {
		return err
	}
	if err := f.keep(ctx, entry, true); err != nil {
		return err
	}
	return d.prune(ctx, e, f, id, told.say)
}

// rolled is roll for what must succeed.
func (w *world) rolled(to target) *said {
	w.t.Helper()
	var told said
	if err := w.roll(w.t.Context(), to, &told); err != nil {
		w.t.Fatalf("%v\n%s", err, strings.Join(told.lines, "\n"))
	}
	return &told
}

// condition is what an inspection finds out of order.
func (w *world) condition() string {
	w.t.Helper()
	f := folder{host: w, root: w.root}
	_, current, err := f.current(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := &inspection{engine: w.engine(), folder: f, current: current, hostIP: "10.0.0.1"}
	_, why, err := i.look(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return why
}

// of lists a service's containers by number.
func (w *world) of(service string) []*fakeContainer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.those(service)
}

func (w *world) those(service string) []*fakeContainer {
	var list []*fakeContainer
	for _, c := range w.containers {
		if c.Config.Labels[composeService] == service {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *fakeContainer) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// runs wants that exactly so many containers of a service are there, that all of them run with a
// version, and that they have Compose's names.
func (w *world) runs(service, version string, n int) {
	w.t.Helper()
	list := w.of(service)
	if len(list) != n {
		w.t.Errorf("%d containers of %s, want %d", len(list), service, n)
	}
	for i, c := range list {
		if want := fmt.Sprintf("/shop-%s-%d", service, i+1); c.Name != want {
			w.t.Errorf("container %s is not called %s", c.Name, want)
		}
		if !c.State.Running || version != "" && !slices.Contains(c.Config.Env, "VERSION="+version) {
			w.t.Errorf("container %s is %s with %v, want version %s", c.Name, c.State.Status, c.Config.Env, version)
		}
	}
}

// told wants that the proxy has read the addresses of the containers of app that there are.
func (w *world) told() {
	w.t.Helper()
	var want []string
	for _, c := range w.of("app") {
		want = append(want, addressOf(c))
	}
	for _, proxy := range w.of("proxy") {
		have := slices.Clone(proxy.upstreams)
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			w.t.Errorf("%s sends to %v, want %v", proxy.Name, have, want)
		}
	}
}

func addressOf(c *fakeContainer) string {
	for _, n := range c.NetworkSettings.Networks {
		return n.IPAddress.String()
	}
	return ""
}

// serves says what is wrong when no proxy runs, or none of the addresses that it has read answers.
func (w *world) serves() error {
	for _, proxy := range w.those("proxy") {
		if !proxy.State.Running {
			continue
		}
		for _, c := range w.those("app") {
			if c.State.Running && slices.Contains(proxy.upstreams, addressOf(c)) && !slices.Contains(c.Config.Env, "VERSION=broken") {
				return nil
			}
		}
	}
	return errors.New("nothing serves")
}

func TestRolloutStartsFirstAndTellsTheProxy(t *testing.T) {
	w := newWorld(t)
	w.rolled(target{release: render(t, shop, map[string]string{"VERSION": "v1"})})
	w.runs("app", "v1", 3)
	w.told()
	w.check = w.serves
	proxy := w.of("proxy")[0].ID
	w.rolled(target{release: render(t, shop, map[string]string{"VERSION": "v2"})})
	w.runs("app", "v2", 3)
	w.told()
	if w.of("proxy")[0].ID != proxy {
		t.Error("the proxy was renewed, though nothing that it is made from changed")
	}
	for _, err := range w.broken {
		t.Error(err)
	}
}

func TestRolloutOfWhatIsThereTouchesNothing(t *testing.T) {
	w := newWorld(t)
	to := target{release: render(t, shop, map[string]string{"VERSION": "v1"})}
	w.rolled(to)
	w.arm(0, false)
	w.rolled(to)
	for _, change := range w.changed() {
		if !strings.HasPrefix(change, "write ") { // what is noted of releases
			t.Errorf("it did: %s", change)
		}
	}
	if why := w.condition(); why != "" {
		t.Errorf("out of order: %s", why)
	}
}

func TestBadReleaseLeavesTheOldOne(t *testing.T) {
	for name, compose := range map[string]string{
		"beside":     shop,
		"stop first": strings.ReplaceAll(shop, "deploy: { replicas: 3 }", "ports: ['8080:80']"),
		"one by one": strings.ReplaceAll(shop, "replicas: 3 }", "replicas: 3, update_config: { order: stop-first, parallelism: 1 } }"),
	} {
		for _, version := range []string{"broken", "crashes"} {
			t.Run(name+" "+version, func(t *testing.T) {
				w := newWorld(t)
				w.rolled(target{release: render(t, compose, map[string]string{"VERSION": "v1"})})
				n := len(w.of("app"))
				var told said
				err := w.roll(t.Context(), target{release: render(t, compose, map[string]string{"VERSION": version})}, &told)
				var bad *containerError
				if !errors.As(err, &bad) {
					t.Fatalf("%v, want the container's error", err)
				}
				w.runs("app", "v1", n)
				w.told()
				if note, err := (folder{host: w, root: w.root}).rolling(t.Context()); err != nil || note != nil {
					t.Errorf("the note of the rollout is left: %v, %v", note, err)
				}
				if why := w.condition(); why != "" {
					t.Errorf("out of order: %s", why)
				}
			})
		}
	}
}

func TestP9AFailingHookStopsTheRollout(t *testing.T) {
	w := newWorld(t)
	w.rolled(target{release: render(t, shop, map[string]string{"VERSION": "v1"})})
	w.check = w.serves
	var told said
	err := w.roll(t.Context(), target{release: render(t, shop, map[string]string{"VERSION": "v2", "EXTRA": "bad"})}, &told)
	if err == nil || !strings.Contains(err.Error(), "hook") {
		t.Fatalf("%v, want the hook's error", err)
	}
	if !slices.ContainsFunc(told.lines, func(l string) bool { return strings.Contains(l, "the upstreams are bad") }) {
		t.Errorf("what the hook printed is not told: %q", told.lines)
	}
	w.runs("app", "v1", 3)
	w.told()
	for _, err := range w.broken {
		t.Error(err)
	}
}

func TestP4WhatDiesIsReportedAndHealed(t *testing.T) {
	to := target{release: render(t, shop, map[string]string{"VERSION": "v1"})}
	for name, harm := range map[string]struct {
		do   func(w *world)
		says string
	}{
		"a container is gone":     {func(w *world) { delete(w.containers, w.those("app")[1].ID) }, "2 of 3 containers of app run"},
		"a container has died":    {func(w *world) { w.state(w.those("app")[1], container.StateExited, 137) }, "2 of 3 containers of app run"},
		"a container was stopped": {func(w *world) { w.state(w.those("app")[1], container.StateExited, 0) }, "2 of 3 containers of app run"},
		"a container is paused": {func(w *world) {
			w.those("app")[1].State = &container.State{Status: container.StatePaused, Running: true, Paused: true}
		}, "2 of 3 containers of app run"},
		"a container is unhealthy": {func(w *world) { w.those("app")[1].State.Health.Status = container.Unhealthy }, "2 of 3 containers of app run"},
		"the proxy has died":       {func(w *world) { w.state(w.those("proxy")[0], container.StateExited, 137) }, "proxy does not run"},
		"addresses have changed": {func(w *world) {
			for _, c := range w.those("app") {
				if err := w.start(c, nil); err != nil {
					t.Fatal(err)
				}
			}
		}, "proxy was told addresses or ports that have changed since"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rolled(to)
			w.mu.Lock()
			harm.do(w)
			w.mu.Unlock()
			if why := w.condition(); why != harm.says {
				t.Fatalf("it is out of order because %q, want %q", why, harm.says)
			}
			w.rolled(to)
			w.runs("app", "v1", 3)
			w.runs("proxy", "", 1)
			w.told()
			if why := w.condition(); why != "" {
				t.Errorf("still out of order: %s", why)
			}
		})
	}
}

func TestManyRestartsOfTheirLifeDoNotCount(t *testing.T) {
	w := newWorld(t)
	to := target{release: render(t, shop, map[string]string{"VERSION": "v1"})}
	w.rolled(to)
	for _, c := range w.of("app") {
		c.RestartCount = 7
	}
	to.scale = map[string]int{"app": 4}
	w.rolled(to)
	w.runs("app", "v1", 4)
	w.told()
}

func TestContainersOfOtherGroupsAreNotTouched(t *testing.T) {
	w := newWorld(t)
	to := target{release: render(t, shop, map[string]string{"VERSION": "v1"})}
	w.rolled(to)
	for _, c := range w.of("app") {
		c.Config.Labels[labelGroup] = "two"
		c.Name += "-of-two"
		c.Config.Labels[composeService] = "app-of-two"
	}
	w.rolled(to)
	if n := len(w.of("app-of-two")); n != 3 {
		t.Errorf("%d containers of the other group are left of 3", n)
	}
	w.runs("app", "v1", 3)
}

func TestWhatIsNoLongerWantedGoes(t *testing.T) {
	w := newWorld(t)
	w.rolled(target{release: render(t, shop+"  mail: { content: x }\n", map[string]string{"VERSION": "v1"})})
	without := strings.ReplaceAll(strings.ReplaceAll(shop, "[back]", "[front]"), "networks: { back: {} }", "networks: { front: {} }")
	w.rolled(target{release: render(t, without, map[string]string{"VERSION": "v1"})})
	if _, ok := w.networks["shop_back"]; ok || len(w.networks) != 1 {
		t.Errorf("networks: %v", w.networks)
	}
	folders, err := w.ListDir(t.Context(), filepath.Join(w.root, "files"))
	if err != nil || len(folders) != 1 {
		t.Errorf("folders of files: %v, %v", folders, err)
	}
}

func TestPortMovesToAnotherService(t *testing.T) {
	w := newWorld(t)
	one := "name: shop\nservices: { old: { image: a, ports: ['80:80'], healthcheck: { test: [CMD, x] } } }\n"
	w.rolled(target{release: render(t, one, nil)})
	w.rolled(target{release: render(t, strings.ReplaceAll(one, "old:", "new:"), nil)})
	w.runs("new", "", 1)
	w.runs("old", "", 0)
}

const jobs = `
name: shop
services:
  migrate:
    image: app
    environment: { JOB: "yes", VERSION: "${VERSION}" }
    restart: "no"
  app:
    image: app
    healthcheck: { test: [CMD, ask] }
    depends_on: { migrate: { condition: service_completed_successfully } }
  report:
    image: app
    restart: on-failure
    environment: { JOB: "yes" }
`

func TestJobsRunOnce(t *testing.T) {
	w := newWorld(t)
	to := target{release: render(t, jobs, map[string]string{"VERSION": "v1"})}
	w.rolled(to)
	if why := w.condition(); why != "" {
		t.Errorf("out of order: %s", why)
	}
	w.rolled(to)
	for _, service := range []string{"migrate", "report"} {
		if c := w.of(service)[0]; c.runs != 1 {
			t.Errorf("%s ran %d times", service, c.runs)
		}
	}
	migrate := w.of("migrate")[0].ID
	w.rolled(target{release: render(t, jobs, map[string]string{"VERSION": "v2"})})
	if w.of("migrate")[0].ID == migrate {
		t.Error("the new release's job did not run")
	}
}

func TestFailureActions(t *testing.T) {
	policy := func(text string) string {
		return strings.ReplaceAll(shop, "replicas: 3 }", "replicas: 3, update_config: { parallelism: 3, "+text+" } }")
	}
	t.Run("pause", func(t *testing.T) {
		w := newWorld(t)
		w.rolled(target{release: render(t, policy("failure_action: pause"), map[string]string{"VERSION": "v1"})})
		var told said
		if err := w.roll(t.Context(), target{release: render(t, policy("failure_action: pause"), map[string]string{"VERSION": "broken"})}, &told); err == nil {
			t.Fatal("it succeeded")
		}
		w.runs("app", "v1", 3)
		if why := w.condition(); !strings.Contains(why, "was cut short") {
			t.Errorf("out of order: %q", why)
		}
	})
	t.Run("continue, with nothing that comes up", func(t *testing.T) {
		w := newWorld(t)
		w.rolled(target{release: render(t, policy("failure_action: continue"), map[string]string{"VERSION": "v1"})})
		var told said
		err := w.roll(t.Context(), target{release: render(t, policy("failure_action: continue"), map[string]string{"VERSION": "broken"})}, &told)
		if !errors.Is(err, errEmpty) {
			t.Fatalf("%v, want %v", err, errEmpty)
		}
		w.runs("app", "v1", 3)
	})
}

func TestWhatRunsOncePerReleaseKnowsWhatRuns(t *testing.T) {
	w := newWorld(t)
	release := render(t, shop, map[string]string{"VERSION": "v1"})
	r := &rollout{engine: w.engine(), folder: folder{host: w, root: w.root}, release: release, hostIP: "10.0.0.1"}
	early, err := r.bindEarly(t.Context(), "proxy")
	if err != nil || len(early.Files) != 0 {
		t.Errorf("before anything runs it has the files %v, %v", early.Files, err)
	}
	w.rolled(target{release: release})
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.stand()
	early, err = r.bindEarly(t.Context(), "proxy")
	if err != nil || len(early.Files) != 1 || !strings.Contains(string(early.Files[0].Content), addressOf(w.of("app")[0])) {
		t.Errorf("its files are %v, %v", early.Files, err)
	}
}

func TestBadReleasesDoNotDriveOutGoodOnes(t *testing.T) {
	w := newWorld(t)
	for n := range 7 {
		w.rolled(target{release: render(t, shop, map[string]string{"VERSION": fmt.Sprint("v", n)})})
	}
	for n := range 3 {
		var told said
		bad := strings.ReplaceAll(shop, "retries: 1", fmt.Sprint("retries: ", n+1))
		if err := w.roll(t.Context(), target{release: render(t, bad, map[string]string{"VERSION": "broken"})}, &told); err == nil {
			t.Fatal("a bad release came up")
		}
	}
	w.rolled(target{release: render(t, shop, map[string]string{"VERSION": "v6"})})
	kept, err := (&releases{}).kept(t.Context(), folder{host: w, root: w.root})
	if err != nil {
		t.Fatal(err)
	}
	up := 0
	for _, k := range kept {
		if k.Up {
			up++
		}
	}
	if up != 5 || len(kept) != 6 {
		t.Errorf("%d releases are kept, %d of which came up; want 6 and 5", len(kept), up)
	}
}
