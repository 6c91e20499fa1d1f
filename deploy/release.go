package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// releases is the part of the driver for releases on servers.
type releases struct {
	hosts   *Hosts
	options Options
	reading sync.Mutex // of images from the engine on this machine

	mu        sync.Mutex
	preparing map[string]*preparation // by release
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
	images, err := d.fetchImages(ctx, host, e, document, say)
	if err != nil {
		return nil, err
	}
	f := d.hosts.folder(host)
	if err := f.keep(ctx, entry, false); err != nil {
		return nil, err
	}
	r := &rollout{
		engine: e.of(item.Mark.Address.Name), folder: f, release: document, id: spec.Release, group: item.Mark.Address.Name, server: spec.Server,
		hostIP: or(server.Facts.PrivateIP, server.Facts.PublicIP), secrets: c.Secrets, scale: spec.Scale, images: images, say: say, now: time.Now,
		once: d.once(spec.Release, spec.Prepared),
	}
	if err := r.run(ctx); err != nil {
		found, lookErr := d.look(context.WithoutCancel(ctx), host, server)
		if lookErr != nil {
			found = nil
		}
		return found, err
	}
	if err := r.record(ctx, currentFile{Mark: item.Mark, Template: spec.Template, Release: spec.Release, Scale: spec.Scale}); err != nil {
		return nil, err
	}
	if err := f.keep(ctx, entry, true); err != nil {
		return nil, err
	}
	if err := d.prune(ctx, e, f, spec.Release, say); err != nil {
		say("pruning: " + err.Error())
	}
	return d.look(ctx, host, server)
}

// record notes that a rollout is done.
func (r *rollout) record(ctx context.Context, current currentFile) error {
	current.Replicas, current.Bound = map[string]int{}, r.bound
	for name := range r.release.Services {
		if n := r.replicas(name); n > 0 && !r.isAwaited(name) {
			current.Replicas[name] = n
		}
	}
	if err := r.folder.write(ctx, current, "current.json"); err != nil {
		return err
	}
	if r.cut == nil && !r.begun {
		return nil
	}
	return r.folder.host.RemoveFile(ctx, r.folder.path("rolling.json"))
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
	f, a := d.hosts.folder(host), server.Mark.Address
	var current currentFile
	if ok, err := f.read(ctx, &current, "current.json"); err != nil || !ok {
		return nil, err
	}
	e, err := d.hosts.engine(ctx, host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	kept, err := d.kept(ctx, f)
	if err != nil {
		return nil, err
	}
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
	i := &inspection{engine: e.of(a.Name), folder: f, current: current, hostIP: or(server.Facts.PrivateIP, server.Facts.PublicIP)}
	if found.Facts.Containers, found.Broken, err = i.look(ctx); err != nil {
		return nil, err
	}
	found.Facts.RouteCommit, err = d.routeCommit(ctx, f)
	return found, err
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
