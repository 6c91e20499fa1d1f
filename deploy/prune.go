package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// keep keeps a release on the server. One that has come up once stays so.
func (f folder) keep(ctx context.Context, entry resource.ReleaseEntry, up bool) error {
	var before keptFile
	if _, err := f.read(ctx, &before, "releases", entry.ID+".json"); err != nil {
		return err
	}
	return f.write(ctx, keptFile{Entry: entry, Used: time.Now().UTC(), Up: up || before.Up}, "releases", entry.ID+".json")
}

// prune forgets the releases beyond those to be kept, with the images that only they used, and the
// files of containers that are no more. Of those that never came up, only the newest is kept: they
// do not drive out what can be gone back to.
func (d *releases) prune(ctx context.Context, e *engine, f folder, current string, say func(string)) error {
	kept, err := d.kept(ctx, f)
	if err != nil {
		return err
	}
	needed, gone := map[string]bool{}, map[string]bool{}
	up, bad := 0, 0 // of each kind, those that are newer
	for _, k := range kept {
		images := imagesOf(k.Entry.Document)
		stays := k.Entry.ID == current
		if k.Up {
			stays = stays || up < d.options.keep()
			up++
		} else {
			stays = stays || bad < 1
			bad++
		}
		if stays {
			for _, name := range images {
				needed[name] = true
			}
			continue
		}
		say("forgetting release " + k.Entry.ID)
		if err := f.forget(ctx, k.Entry.ID); err != nil {
			return err
		}
		for _, name := range images {
			gone[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		if needed[name] {
			continue
		}
		// An image that something else uses stays: the engine refuses.
		if _, err := e.ImageRemove(ctx, name, client.ImageRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			say(fmt.Sprintf("image %s stays: %v", name, err))
		}
	}
	return f.pruneFiles(ctx, e)
}

// forget drops a release from the server's memory.
func (f folder) forget(ctx context.Context, id string) error {
	const script = `rm -f -- "$1/releases/$2.json"
rm -f -- "$1/ran/$2" "$1/ran/$2-"*`
	_, err := f.host.Run(ctx, remote.Script(script, f.root, id).AsRoot())
	return err
}

// pruneFiles removes the folders of files that no container mounts.
func (f folder) pruneFiles(ctx context.Context, e *engine) error {
	names, err := f.host.ListDir(ctx, f.path("files"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	containers, err := e.containers(ctx)
	if err != nil {
		return err
	}
	var unused []string
	for _, name := range names {
		used := slices.ContainsFunc(containers, func(c container.InspectResponse) bool {
			return filesName(c.Config.Labels[composeService], c.Config.Labels[labelConfig]) == name
		})
		if !used {
			unused = append(unused, f.path("files", name))
		}
	}
	if len(unused) == 0 {
		return nil
	}
	_, err = f.host.Run(ctx, remote.Argv("rm", append([]string{"-rf", "--"}, unused...)...).AsRoot())
	return err
}

// preparedIn lists the releases whose release:before hooks have run on a server.
func preparedIn(ctx context.Context, f folder) ([]string, error) {
	names, err := f.host.ListDir(ctx, f.path("ran"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.Count(name, "-") != 1 }), nil
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

// remove takes a release off a server: its containers, those that need others first, its networks
// and files. Volumes stay.
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
	r := &rollout{
		engine: e.of(a.Name), folder: d.hosts.folder(host), release: &template.Release{}, group: a.Name, server: server.Mark.Address,
		hostIP: or(server.Facts.PrivateIP, server.Facts.PublicIP), secrets: c.Secrets, now: time.Now, say: func(line string) { c.Say(a, line) },
	}
	if server.Facts.Access != nil { // it lives on
		if err := d.hosts.dropSampling(ctx, host); err != nil {
			return err
		}
	}
	return r.clear(ctx)
}

// clear takes everything away that the rollouts of a group have left on a server.
func (r *rollout) clear(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	document, _, err := r.folder.current(ctx)
	if err != nil {
		return err
	}
	var order []string
	if document != nil {
		if order, err = document.Order(); err != nil {
			return err
		}
	}
	r.begun = true // there is nothing to go on with
	if err := r.down(ctx, order); err != nil {
		return err
	}
	const script = `cd "$1" 2>/dev/null || exit 0
rm -rf -- current.json rolling.json files releases ran`
	if _, err = r.folder.host.Run(ctx, remote.Script(script, r.folder.root).AsRoot()); err != nil {
		return err
	}
	return putJournal(ctx, r.folder, nil, r.say)
}
