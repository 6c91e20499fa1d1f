package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// folder is where a server keeps what it must remember of a stack. Only root reads it.
//
//	server.json          the server's mark: it is ready for releases
//	current.json         what runs here
//	releases/ID.json     releases that can be brought back, with sealed secrets
//	ran/ID               release:before hooks of a release that have succeeded
//	route-NAME.json      a route's last commit
//	files/RELEASE/...    configs and secrets that containers mount
type folder struct {
	host *remote.Host
	root string
}

func (h *Hosts) folder(host *remote.Host) folder {
	return folder{host: host, root: path.Join("/var/lib/cloudship", string(h.options.Stack))}
}

func (f folder) path(parts ...string) string { return path.Join(append([]string{f.root}, parts...)...) }

// read decodes a file; it reports false when there is none.
func (f folder) read(ctx context.Context, into any, parts ...string) (bool, error) {
	b, err := f.host.ReadFile(ctx, f.path(parts...))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return false, fmt.Errorf("read %s on %s: %w", f.path(parts...), f.host.Target().Address, err)
	}
	return true, nil
}

// write replaces a file in one motion.
func (f folder) write(ctx context.Context, what any, parts ...string) error {
	b, err := json.MarshalIndent(what, "", " ")
	if err != nil {
		return err
	}
	return f.host.WriteFile(ctx, f.path(parts...), 0o600, "root", append(b, '\n'))
}

// server is what server.json holds.
type serverFile struct {
	Mark resource.Mark `json:"mark"`
}
