package paper

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// The files of a server.
const (
	serverFile   = "server.json"  // it was made ready to the end
	currentFile  = "current.json" // what runs; written when a rollout is done
	containers   = "containers/"  // one file for each
	releases     = "releases/"    // what it keeps, one file for each
	volumes      = "volumes/"     // one file for each
	routes       = "routes/"      // the last commit of each route
	downFile     = "down"         // what runs here does not answer: the lab's balancers look for it
	paperVersion = "20.10.24"
)

type ready struct {
	Mark resource.Mark `json:"mark"`
	Keys []string      `json:"keys,omitempty"`
}

type current struct {
	Template string         `json:"template"`
	Release  string         `json:"release"`
	Scale    map[string]int `json:"scale,omitempty"`
	Replicas map[string]int `json:"replicas"`
}

type kept struct {
	Entry resource.ReleaseEntry `json:"entry"`
	Used  time.Time             `json:"used"`
}

// putDocker makes a server ready for releases.
func (d *Driver) putDocker(ctx context.Context, c resource.Call, mark resource.Mark, spec *resource.DockerSpec) (*resource.Found, error) {
	server, err := serverOf(c, spec.Server)
	if err != nil {
		return nil, err
	}
	h := d.hosts.on(server)
	files, err := h.read(ctx)
	if err != nil {
		return nil, err
	}
	if _, runs := files[currentFile]; !runs {
		if err := h.write(ctx, downFile, "nothing runs yet"); err != nil {
			return nil, err
		}
	}
	keys := slices.Sorted(slices.Values(spec.Keys))
	if err := h.write(ctx, serverFile, ready{server.Mark, keys}); err != nil {
		return nil, err
	}
	return d.found(ctx, server, mark.Address)
}

func serverOf(c resource.Call, a resource.Address) (resource.Found, error) {
	server, ok := c.Peers[a]
	if !ok {
		return server, fmt.Errorf("server %s is not known", a)
	}
	return server, nil
}

// found looks for one resource on a server, nil where it is not.
func (d *Driver) found(ctx context.Context, server resource.Found, a resource.Address) (*resource.Found, error) {
	list, err := d.look(ctx, server)
	for _, f := range list {
		if f.Mark.Address == a {
			return &f, err
		}
	}
	return nil, err
}

// look finds Docker and the release on a server.
func (d *Driver) look(ctx context.Context, server resource.Found) ([]resource.Found, error) {
	files, err := d.hosts.on(server).read(ctx)
	if err != nil {
		return nil, err
	}
	var r ready
	if ok, err := files.get(serverFile, &r); err != nil || !ok || r.Mark != server.Mark {
		return nil, err
	}
	a := server.Mark.Address
	mark := func(on resource.Address) resource.Mark {
		return resource.Mark{Stack: server.Mark.Stack, Address: on, Generation: server.Mark.Generation}
	}
	docker := resource.Found{
		Mark: mark(resource.DockerOn(a.Name, a.Index)), ID: server.ID, Ready: true,
		Spec: &resource.DockerSpec{Server: a, Keys: r.Keys}, Observed: []string{"server", "keys"},
		Facts: resource.Facts{Enrolled: true, Host: &resource.HostFacts{Distribution: "paper", CPUs: 1, MemoryMB: 1024, DockerVersion: paperVersion, APIVersion: "1.41", Volumes: files.volumes()}},
	}
	certified, err := certificatesIn(files, server, time.Now())
	if err != nil {
		return nil, err
	}
	var runs current
	if ok, err := files.get(currentFile, &runs); err != nil || !ok {
		return append(certified, docker), err
	}
	release := resource.Found{
		Mark: mark(resource.ReleaseOn(a.Name, a.Index)), ID: runs.Release, Ready: true,
		Spec:     &resource.ReleaseSpec{Server: a, Docker: docker.Mark.Address, Template: runs.Template, Release: runs.Release, Scale: runs.Scale},
		Observed: []string{"server", "docker", "template", "release", "scale"},
	}
	facts := &release.Facts
	running := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var one resource.Container
		if !strings.HasPrefix(name, containers) {
			continue
		}
		if _, err := files.get(name, &one); err != nil {
			return nil, err
		}
		facts.Containers = append(facts.Containers, one)
		if one.Release == runs.Release {
			running[one.Service]++
		}
	}
	release.Broken = broken(runs.Replicas, running)
	for _, k := range files.kept() {
		facts.Kept = append(facts.Kept, k.Entry.ID)
	}
	docker.Facts.Kept = facts.Kept
	for name := range files {
		var commit resource.RouteCommit
		if !strings.HasPrefix(name, routes) {
			continue
		}
		if _, err := files.get(name, &commit); err != nil {
			return nil, err
		}
		if facts.RouteCommit == nil || commit.Serial > facts.RouteCommit.Serial {
			facts.RouteCommit = &commit
		}
	}
	return append(certified, docker, release), nil
}

// broken says what is missing of what should run.
func broken(want, have map[string]int) string {
	var missing []string
	for service, n := range want {
		if have[service] < n {
			missing = append(missing, fmt.Sprintf("%d of %d containers of %s run", have[service], n, service))
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, ", ")
}

// kept lists the releases that a server keeps, the last used first.
func (d disk) kept() []kept {
	var list []kept
	for name := range d {
		var k kept
		if !strings.HasPrefix(name, releases) {
			continue
		}
		if ok, err := d.get(name, &k); err == nil && ok {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b kept) int { return b.Used.Compare(a.Used) })
	return list
}

// volumes lists the volumes on the server; it is never nil.
func (d disk) volumes() []resource.Volume {
	list := []resource.Volume{}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		var v resource.Volume
		if ok, err := d.get(name, &v); strings.HasPrefix(name, volumes) && err == nil && ok {
			list = append(list, v)
		}
	}
	return list
}

// Kept gives whole the releases that a server keeps, for a lost state.
func (d *Driver) Kept(ctx context.Context, server resource.Found, _ bool) ([]resource.ReleaseEntry, error) {
	files, err := d.hosts.on(server).read(ctx)
	var entries []resource.ReleaseEntry
	for _, k := range files.kept() {
		entries = append(entries, k.Entry)
	}
	return entries, err
}

// putRelease brings a server to a release: the new containers first, then the old ones go. One that
// does not become healthy leaves the old ones serving.
func (d *Driver) putRelease(ctx context.Context, c resource.Call, item resource.Item, spec *resource.ReleaseSpec) (*resource.Found, error) {
	server, err := serverOf(c, spec.Server)
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
	for _, digest := range document.Secrets {
		if _, ok := c.Secrets[digest]; !ok {
			return nil, fmt.Errorf("release %s: the value of secret %s did not come along", spec.Release, digest)
		}
	}
	h := d.hosts.on(server)
	files, err := h.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.write(ctx, releases+spec.Release+".json", kept{entry, time.Now().UTC()}); err != nil {
		return nil, err
	}
	now := current{Template: spec.Template, Release: spec.Release, Scale: spec.Scale, Replicas: replicas(document, spec)}
	if err := h.rollOut(ctx, document, now, files, func(line string) { c.Say(item.Mark.Address, line) }); err != nil {
		found, _ := d.found(ctx, server, item.Mark.Address)
		return found, err
	}
	for i, k := range files.kept() {
		if i+1 >= d.options.Keep && k.Entry.ID != spec.Release {
			if err := h.remove(ctx, releases+k.Entry.ID+".json"); err != nil {
				return nil, err
			}
		}
	}
	return d.found(ctx, server, item.Mark.Address)
}

// replicas is how many containers of each service a server of the group runs.
func replicas(r *template.Release, spec *resource.ReleaseSpec) map[string]int {
	counts := map[string]int{}
	for name, s := range r.Services {
		n := s.Replicas
		if scaled, ok := spec.Scale[name]; ok {
			n = scaled
		}
		if s.Global {
			n = 1
		}
		if n > 0 && s.OnServer(spec.Server.Index) {
			counts[name] = n
		}
	}
	return counts
}

// rollOut starts the containers of a release beside the old ones, and takes those away when they
// are healthy.
func (h host) rollOut(ctx context.Context, r *template.Release, now current, files disk, say func(string)) error {
	for _, key := range slices.Sorted(maps.Keys(r.Volumes)) {
		name := volumes + r.Volumes[key].Name + ".json"
		if _, there := files[name]; there || r.Volumes[key].External {
			continue
		}
		if err := h.write(ctx, name, resource.Volume{Name: r.Volumes[key].Name, Key: key}); err != nil {
			return err
		}
	}
	wanted := map[string]bool{}
	var started []string
	for _, service := range slices.Sorted(maps.Keys(now.Replicas)) {
		for n := 1; n <= now.Replicas[service]; n++ {
			name := fmt.Sprintf("%s%s-%d-%s.json", containers, service, n, now.Release)
			wanted[name] = true
			if _, runs := files[name]; runs {
				continue
			}
			one := resource.Container{Service: service, Number: n, Name: fmt.Sprintf("%s-%s-%d", r.Project, service, n),
				ID: name, Release: now.Release, State: "running", Health: resource.Healthy}
			if err := h.write(ctx, name, one); err != nil {
				return err
			}
			started = append(started, name)
			say("started " + one.Name)
		}
		if r.Services[service].Labels[Fails] == "start" {
			for _, name := range started {
				if err := h.remove(context.WithoutCancel(ctx), name); err != nil {
					say("removing " + name + ": " + err.Error())
				}
			}
			return fmt.Errorf("container %s-%s-1 is not healthy; its last lines:\n  on paper: label %s=start", r.Project, service, Fails)
		}
	}
	if err := h.write(ctx, currentFile, now); err != nil {
		return err
	}
	if err := h.remove(ctx, downFile); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, containers) && !wanted[name] {
			if err := h.remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeRelease takes a release off a server.
func (d *Driver) removeRelease(ctx context.Context, c resource.Call, item resource.Item) error {
	a := item.Mark.Address
	server, ok := c.Peers[resource.Server(a.Name, a.Index)]
	if !ok {
		return nil // gone with its server
	}
	h := d.hosts.on(server)
	files, err := h.read(ctx)
	if err != nil {
		return err
	}
	if err := h.write(ctx, downFile, "nothing runs any more"); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == currentFile || strings.HasPrefix(name, containers) {
			if err := h.remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}
