package deploy

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// place is where data lies on a server's disk.
type place struct {
	root string // the volume's folder, or what is mounted of the server
	path string // the data, without symbolic links
	is   string // folder, file or nothing
	own  bool   // it is a folder on a disk of its own: its name cannot be given to another
}

// placeScript follows $2, which must lead to nowhere outside of $1, and says what is there.
const placeScript = `root=$(readlink -f -- "$1")
real=$(readlink -m -- "$2")
case "$real/" in
"$root"/*) ;;
*) echo "$2 leads to $real, out of what is mounted" >&2; exit 1 ;;
esac
printf '%s\n%s\n' "$root" "$real"
if [ -d "$real" ]; then echo folder; elif [ -f "$real" ]; then echo file; elif [ -e "$real" ]; then echo other; else echo nothing; fi
if [ -e "$real" ] && [ "$(stat -c %d "$real")" != "$(stat -c %d "$(dirname "$real")")" ]; then echo own; else echo shared; fi`

// place finds the data of files and sqlite.
func (h *Holding) place(ctx context.Context) (place, error) {
	root, file, err := h.mounted(ctx)
	if err != nil {
		return place{}, err
	}
	out, err := h.standing.engine.host.Run(ctx, remote.Script(placeScript, root, file).AsRoot())
	if err != nil {
		return place{}, fmt.Errorf("look for %s: %w", h.data.Path, withWords(err, out.Stderr))
	}
	lines := strings.Split(string(out.Stdout), "\n")
	if len(lines) < 4 {
		return place{}, fmt.Errorf("look for %s: the server says %q", h.data.Path, out.Stdout)
	}
	p := place{root: lines[0], path: lines[1], is: lines[2], own: lines[2] == "folder" && lines[3] == "own"}
	want := map[string]string{DataFiles: "folder", DataSQLite: "file"}[h.data.Kind]
	if p.is != want && p.is != "nothing" {
		return p, fmt.Errorf("%s is no %s", p.path, want)
	}
	if strings.ContainsAny(p.path, "\n'\"\\") {
		return p, fmt.Errorf("%q has quotes or line ends in its name", p.path)
	}
	return p, nil
}

// mounted gives the folder of the server that holds the data, and the data's path in it.
func (h *Holding) mounted(ctx context.Context) (root, file string, err error) {
	if h.data.Volume != "" {
		name := h.standing.release.Volumes[h.data.Volume].Name
		v, err := h.standing.engine.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
		if err != nil {
			return "", "", fmt.Errorf("look for volume %s: %w", name, err)
		}
		return v.Volume.Mountpoint, path.Join(v.Volume.Mountpoint, path.Clean("/"+h.data.Path)), nil
	}
	c, err := h.container(ctx, false)
	if err != nil {
		return "", "", err
	}
	return inMount(c, h.data.Path)
}

// inMount finds what is mounted in a container at a path or above it.
func inMount(c container.InspectResponse, file string) (root, at string, err error) {
	file = path.Clean(file)
	best := -1
	for i, m := range c.Mounts {
		target := path.Clean(m.Destination)
		if (file == target || strings.HasPrefix(file, strings.TrimSuffix(target, "/")+"/")) && m.Source != "" {
			if best < 0 || len(target) > len(path.Clean(c.Mounts[best].Destination)) {
				best = i
			}
		}
	}
	if best < 0 {
		return "", "", resource.WithHint(fmt.Errorf("%s is in no volume of service %s: it goes with its container", file, c.Config.Labels[composeService]),
			"give the service a volume for it in the template")
	}
	m := c.Mounts[best]
	return m.Source, path.Join(m.Source, strings.TrimPrefix(file, path.Clean(m.Destination))), nil
}

// container is the container that has the data: one that runs where there is one.
func (h *Holding) container(ctx context.Context, running bool) (container.InspectResponse, error) {
	list, err := h.standing.engine.containers(ctx)
	if err != nil {
		return container.InspectResponse{}, err
	}
	var found *container.InspectResponse
	for _, c := range list {
		if c.Config.Labels[composeService] == h.data.Service && (found == nil || c.State.Running && !found.State.Running) {
			found = &c
		}
	}
	switch {
	case found == nil:
		return container.InspectResponse{}, resource.WithHint(fmt.Errorf("%s has no container of service %s", h.standing.server, h.data.Service), "'cloudship apply' makes it")
	case running && !found.State.Running:
		return *found, fmt.Errorf("no container of service %s runs on %s", h.data.Service, h.standing.server)
	}
	return *found, nil
}

// withWords adds what a script wrote to stderr to its error, where that does not have it.
func withWords(err error, stderr []byte) error {
	text := strings.TrimSpace(lastLines(string(stderr), 5))
	var known *remote.ExitError
	if err == nil || text == "" || errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}
