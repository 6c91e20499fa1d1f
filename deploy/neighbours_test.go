package deploy

import (
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// blog is a stack beside shop, on the same engine, with things of the same names.
const blog = `
name: blog
services:
  app:
    image: app
    environment: { VERSION: "${VERSION}" }
    deploy: { replicas: 2 }
    volumes: ["posts:/posts"]
    networks: [back]
    x-cloudship:
      stateful: shared
      hooks:
        - name: site
          on: [scale_out:app, scale_in:app, destroy]
          where: shop/proxy
          command: [site]
          args: { APPS: "{{ app | container_name }}" }
networks: { back: {} }
volumes: { posts: { x-cloudship: { stateful: shared } } }
`

// tenant is a stack on a world that it shares.
type tenant struct {
	*world
	engine *engine
	folder folder
}

func (w *world) tenant(stack resource.StackID) *tenant {
	return &tenant{w, w.engineOf(stack), folder{host: w, root: filepath.Join(w.t.TempDir(), string(stack))}}
}

func (n *tenant) rolled(compose, version string) {
	n.t.Helper()
	var told said
	to := target{release: render(n.t, compose, map[string]string{"VERSION": version})}
	if err := n.rollAs(n.t.Context(), n.engine, n.folder, to, &told); err != nil {
		n.t.Fatalf("%v\n%s", err, strings.Join(told.lines, "\n"))
	}
}

// cleared takes everything of the stack away, as the end of its release does.
func (n *tenant) cleared() *said {
	n.t.Helper()
	var told said
	r := &rollout{engine: n.engine, folder: n.folder, release: &template.Release{}, group: "one", server: resource.Server("one", 0), hostIP: "10.0.0.1", now: time.Now, say: told.say}
	if err := r.clear(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	return &told
}

// holds lists everything in the engine that bears a stack's label.
func (w *world) holds(stack string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for id, c := range w.containers {
		if c.Config.Labels[labelStack] == stack {
			list = append(list, "container "+id+" "+string(c.State.Status)+" "+strings.Join(c.upstreams, ","))
		}
	}
	for name, n := range w.networks {
		if n.Labels[labelStack] == stack {
			list = append(list, "network "+name)
		}
	}
	for name, labels := range w.volumes {
		if labels[labelStack] == stack {
			list = append(list, "volume "+name)
		}
	}
	slices.Sort(list)
	return list
}

// told lists what the proxy was told of a site, in order.
func (w *world) sites() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, id := range slices.SortedFunc(maps.Keys(w.execs), func(a, b string) int { return len(a)*1000 - len(b)*1000 + strings.Compare(a, b) }) {
		if e := w.execs[id]; slices.Equal(e.cmd, []string{"site"}) {
			list = append(list, e.in.Name+" "+strings.Join(e.env, " "))
		}
	}
	return list
}

func TestF22StacksOnOneEngineLeaveEachOtherAlone(t *testing.T) {
	w := newWorld(t)
	shopOf := &tenant{w, w.engine(), folder{host: w, root: w.root}}
	shopOf.rolled(shop, "v1")
	before := w.holds("shop-aaaaaa")
	same := func(when string) {
		t.Helper()
		if now := w.holds("shop-aaaaaa"); !slices.Equal(before, now) || len(now) == 0 {
			t.Errorf("%s, the first stack has\n%s\nand had\n%s", when, strings.Join(now, "\n"), strings.Join(before, "\n"))
		}
	}
	other := w.tenant("blog-bbbbbb")
	for _, version := range []string{"v1", "v2", "v3"} {
		other.rolled(blog, version)
		same("after the second's " + version)
	}
	told := other.cleared()
	same("after the second's end")
	if left := w.holds("blog-bbbbbb"); !slices.Equal(left, []string{"volume blog_posts"}) {
		t.Errorf("of the second is left %v (%s)", left, strings.Join(told.lines, "; "))
	}
}

func TestHookInANeighbourIsToldWhatStands(t *testing.T) {
	w := newWorld(t)
	shopOf, other := &tenant{w, w.engine(), folder{host: w, root: w.root}}, w.tenant("blog-bbbbbb")
	var told said
	to := target{release: render(t, blog, map[string]string{"VERSION": "v1"})}
	err := w.rollAs(t.Context(), other.engine, other.folder, to, &told)
	if err == nil || !strings.Contains(err.Error(), "no container of service proxy of stack shop") || resource.HintOf(err) == "" {
		t.Fatalf("without the neighbour: %v", err)
	}
	shopOf.rolled(shop, "v1")
	other.rolled(blog, "v1")
	want := []string{"/shop-proxy-1 APPS=blog-app-1 blog-app-2"}
	if have := w.sites(); !slices.Equal(have, want) {
		t.Errorf("it was told %q, want %q", have, want)
	}
	w.execs = map[string]*fakeExec{}
	other.rolled(blog, "v2")
	for _, said := range w.sites() {
		if apps := strings.Fields(said)[1:]; len(apps) != 2 || strings.TrimPrefix(apps[0], "APPS=") == "blog-app-1" {
			t.Errorf("in an update it was told %q: the old are on their way out", said)
		}
	}
	w.execs = map[string]*fakeExec{}
	other.cleared()
	said := w.sites()
	if len(said) == 0 || said[len(said)-1] != "/shop-proxy-1 APPS=" {
		t.Errorf("at the end it was told %q, want nothing to stand", said)
	}
}

func TestPortsHeldByOthers(t *testing.T) {
	ports := portsHeld(container.Summary{Ports: []container.PortSummary{
		{PrivatePort: 80, PublicPort: 80, Type: "tcp", IP: netip.MustParseAddr("0.0.0.0")},
		{PrivatePort: 80, PublicPort: 80, Type: "tcp", IP: netip.MustParseAddr("::")},
		{PrivatePort: 53, PublicPort: 5353, Type: "udp", IP: netip.MustParseAddr("127.0.0.1")},
		{PrivatePort: 9000, Type: "tcp"},
	}})
	if want := []string{"127.0.0.1:5353/udp", "80/tcp"}; !slices.Equal(ports, want) {
		t.Errorf("ports %v, want %v", ports, want)
	}
}
