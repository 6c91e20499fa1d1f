package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// releases is the part of the driver for releases on servers.
type releases struct {
	hosts   *Hosts
	options Options
}

// currentFile says what runs on a server. It is written when a rollout is done.
type currentFile struct {
	Mark     resource.Mark  `json:"mark"`
	Template string         `json:"template"`
	Release  string         `json:"release"`
	Scale    map[string]int `json:"scale,omitempty"`
	Replicas map[string]int `json:"replicas"` // what runs when all is well
}

// keptFile is a release that a server keeps, so that it can be brought back and a lost state
// finds it.
type keptFile struct {
	Entry resource.ReleaseEntry `json:"entry"`
	Used  time.Time             `json:"used"` // when it was last deployed here
}

// put brings a server to a release.
func (d *releases) put(ctx context.Context, c resource.Call, item resource.Item, spec *resource.ReleaseSpec) (*resource.Found, error) {
	say := func(line string) { c.Say(item.Mark.Address, line) }
	server, host, err := d.reach(ctx, c.Peers, spec.Server)
	if err != nil {
		return nil, err
	}
	entry, ok := c.Releases[spec.Release]
	if !ok {
		return nil, fmt.Errorf("release %s of template %s is not known any more", spec.Release, spec.Template)
	}
	document, err := template.Decode(entry.Document)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", spec.Release, err)
	}
	e, err := d.hosts.engine(ctx, host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	if err := reachable(ctx, host, d.options.Externals); err != nil {
		return nil, err
	}
	images, err := d.fetchImages(ctx, e, document, say)
	if err != nil {
		return nil, err
	}
	f := d.hosts.folder(host)
	if err := f.write(ctx, keptFile{entry, time.Now().UTC()}, "releases", spec.Release+".json"); err != nil {
		return nil, err
	}
	r := &rollout{
		engine: e, folder: f, release: document, id: spec.Release, group: item.Mark.Address.Name, server: spec.Server,
		hostIP: or(server.Facts.PrivateIP, server.Facts.PublicIP), secrets: c.Secrets, scale: spec.Scale, images: images, say: say, now: time.Now,
	}
	if err := r.run(ctx); err != nil {
		found, lookErr := d.look(context.WithoutCancel(ctx), host, server)
		if lookErr != nil {
			found = nil
		}
		return found, err
	}
	current := currentFile{Mark: item.Mark, Template: spec.Template, Release: spec.Release, Scale: spec.Scale, Replicas: map[string]int{}}
	for name := range document.Services {
		if n := r.replicas(name); n > 0 && !r.isAwaited(name) {
			current.Replicas[name] = n
		}
	}
	if err := f.write(ctx, current, "current.json"); err != nil {
		return nil, err
	}
	if err := d.prune(ctx, e, f, spec.Release, say); err != nil {
		say("pruning: " + err.Error())
	}
	return d.look(ctx, host, server)
}

// reach connects to the server of a release, which is enrolled.
func (d *releases) reach(ctx context.Context, peers map[resource.Address]resource.Found, a resource.Address) (resource.Found, *remote.Host, error) {
	server, ok := peers[a]
	if !ok {
		return server, nil, fmt.Errorf("server %s is not known", a)
	}
	host, err := d.hosts.Reach(ctx, server, true, nil)
	return server, host, err
}

// look finds the release on a server, or nil where there is none.
func (d *releases) look(ctx context.Context, host *remote.Host, server resource.Found) (*resource.Found, error) {
	f := d.hosts.folder(host)
	var current currentFile
	if ok, err := f.read(ctx, &current, "current.json"); err != nil || !ok {
		return nil, err
	}
	e, err := d.hosts.engine(ctx, host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	containers, err := e.containers(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := d.kept(ctx, f)
	if err != nil {
		return nil, err
	}
	a := server.Mark.Address
	found := &resource.Found{
		Mark: resource.Mark{Stack: server.Mark.Stack, Address: resource.ReleaseOn(a.Name, a.Index), Generation: server.Mark.Generation},
		ID:   current.Release,
		Spec: &resource.ReleaseSpec{
			Server: a, Docker: resource.DockerOn(a.Name, a.Index),
			Template: current.Template, Release: current.Release, Scale: current.Scale,
		},
		Observed: []string{"server", "docker", "template", "release", "scale"},
		Ready:    true,
	}
	for _, k := range kept {
		found.Facts.Kept = append(found.Facts.Kept, k.Entry.ID)
	}
	running := map[string]int{}
	for _, c := range containers {
		one := describe(c)
		found.Facts.Containers = append(found.Facts.Containers, one)
		if one.State == "running" && one.Health != resource.Unhealthy {
			running[one.Service]++
		}
	}
	found.Broken = broken(current.Replicas, running)
	found.Facts.RouteCommit, err = d.routeCommit(ctx, f)
	return found, err
}

// broken says what is missing of what should run.
func broken(want, have map[string]int) string {
	var missing []string
	for service, n := range want {
		switch {
		case have[service] < n && n == 1:
			missing = append(missing, service+" does not run")
		case have[service] < n:
			missing = append(missing, fmt.Sprintf("%d of %d containers of %s run", have[service], n, service))
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, ", ")
}

// kept lists the releases that a server keeps, the last used first.
func (d *releases) kept(ctx context.Context, f folder) ([]keptFile, error) {
	names, err := f.host.ListDir(ctx, f.path("releases"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept []keptFile
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		var k keptFile
		if ok, err := f.read(ctx, &k, "releases", name); err != nil || !ok {
			continue // torn by a full disk: as good as not kept
		}
		kept = append(kept, k)
	}
	slices.SortFunc(kept, func(a, b keptFile) int { return b.Used.Compare(a.Used) })
	return kept, nil
}

// Kept gives whole the releases that a server keeps, for a lost state.
func (d *Driver) Kept(ctx context.Context, server resource.Found, enrolled bool) ([]resource.ReleaseEntry, error) {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return nil, err
	}
	kept, err := d.releases.kept(ctx, d.hosts.folder(host))
	var entries []resource.ReleaseEntry
	for _, k := range kept {
		entries = append(entries, k.Entry)
	}
	return entries, err
}

// routeCommit is the newest commit of a route that the server has seen.
func (d *releases) routeCommit(ctx context.Context, f folder) (*resource.RouteCommit, error) {
	names, err := f.host.ListDir(ctx, f.root)
	if err != nil {
		return nil, err
	}
	var newest *resource.RouteCommit
	for _, name := range names {
		if !strings.HasPrefix(name, "route-") {
			continue
		}
		var r resource.RouteCommit
		if ok, err := f.read(ctx, &r, name); err == nil && ok && (newest == nil || r.Serial > newest.Serial) {
			newest = &r
		}
	}
	return newest, nil
}

// prune forgets the releases beyond those to be kept, with the images that only they used and the
// files of containers that are no more.
func (d *releases) prune(ctx context.Context, e *engine, f folder, current string, say func(string)) error {
	kept, err := d.kept(ctx, f)
	if err != nil {
		return err
	}
	needed, gone := map[string]bool{}, map[string]bool{}
	for i, k := range kept {
		images := imagesOf(k.Entry.Document)
		if i < d.options.keep() || k.Entry.ID == current {
			for _, name := range images {
				needed[name] = true
			}
			continue
		}
		say("forgetting release " + k.Entry.ID)
		if err := f.host.RemoveFile(ctx, f.path("releases", k.Entry.ID+".json")); err != nil {
			return err
		}
		for _, name := range images {
			gone[name] = true
		}
	}
	for name := range gone {
		if needed[name] {
			continue
		}
		// An image that something else uses stays: the engine refuses.
		_, _ = e.ImageRemove(ctx, name, client.ImageRemoveOptions{})
	}
	return nil
}

// imagesOf lists the images of a release as engines of servers know them.
func imagesOf(document json.RawMessage) []string {
	r, err := template.Decode(document)
	if err != nil {
		return nil
	}
	var names []string
	for _, s := range r.Services {
		if s.Image.Source == template.FromRegistry {
			names = append(names, s.Image.Reference())
			continue
		}
		if name, err := transferred(s.Image); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// remove takes a release off a server: its containers, networks and files. Volumes stay.
func (d *releases) remove(ctx context.Context, c resource.Call, item resource.Item) error {
	a := item.Mark.Address
	server, ok := c.Peers[resource.Server(a.Name, a.Index)]
	if !ok {
		return nil // gone with its server
	}
	host, err := d.hosts.Reach(ctx, server, true, nil)
	if err != nil {
		return err
	}
	e, err := d.hosts.engine(ctx, host)
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	containers, err := e.containers(ctx)
	if err != nil {
		return err
	}
	for _, one := range slices.Backward(containers) {
		c.Say(a, "stopping "+strings.TrimPrefix(one.Name, "/"))
		if _, err := e.ContainerStop(ctx, one.ID, client.ContainerStopOptions{}); err != nil {
			return fmt.Errorf("stop %s: %w", one.Name, err)
		}
		if err := e.remove(ctx, one.ID); err != nil {
			return fmt.Errorf("remove %s: %w", one.Name, err)
		}
	}
	networks, err := e.NetworkList(ctx, client.NetworkListOptions{Filters: ours(e.stack)})
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks.Items {
		if _, err := e.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil {
			return fmt.Errorf("remove network %s: %w", n.Name, err)
		}
	}
	_, err = host.Run(ctx, remote.Argv("rm", "-rf", d.hosts.folder(host).path("current.json"), d.hosts.folder(host).path("files")).AsRoot())
	return err
}
