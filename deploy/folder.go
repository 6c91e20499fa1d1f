package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// folder is where a server keeps what it must remember of a stack. Only root reads it.
//
//	server.json              the server's mark: it is ready for releases
//	current.json             what runs here
//	rolling.json             a rollout that has not ended
//	releases/ID.json         releases that can be brought back, with sealed secrets
//	ran/ID-SERVICE-HOOK      a release:before hook of a release that has succeeded
//	ran/ID                   all of them have
//	route-NAME.json          a route's last commit
//	certificates/NAME.json   a certificate that lies here; NAME.order while it is being got
//	files/SERVICE-CONFIG/... configs and secrets that containers mount
type folder struct {
	host machine
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
		return false, fmt.Errorf("read %s: %w", f.path(parts...), err)
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

// currentFile says what runs on a server. It is written when a rollout is done.
type currentFile struct {
	Mark     resource.Mark     `json:"mark"`
	Template string            `json:"template"`
	Release  string            `json:"release"`
	Scale    map[string]int    `json:"scale,omitempty"`
	Replicas map[string]int    `json:"replicas"`        // what runs when all is well
	Bound    map[string]string `json:"bound,omitempty"` // service to digest of it with its late references resolved
}

// rollingFile says that a rollout has begun. It is there until the rollout is done, or undone.
type rollingFile struct {
	Release string   `json:"release"`
	Before  []string `json:"before"`       // ids of the containers that there were
	Up      bool     `json:"up,omitempty"` // all that is new has come up: the old goes, and there is no way back
}

// keptFile is a release that a server keeps, so that it can be brought back and a lost state
// finds it.
type keptFile struct {
	Entry resource.ReleaseEntry `json:"entry"`
	Used  time.Time             `json:"used"`         // when it was last deployed here
	Up    bool                  `json:"up,omitempty"` // it has come up here
}

// rolling gives the rollout that has not ended, or nil.
func (f folder) rolling(ctx context.Context) (*rollingFile, error) {
	var note rollingFile
	ok, err := f.read(ctx, &note, "rolling.json")
	if err != nil || !ok {
		return nil, err
	}
	return &note, nil
}

// release gives a release that the server keeps, or nil.
func (f folder) release(ctx context.Context, id string) (*template.Release, error) {
	var kept keptFile
	if ok, err := f.read(ctx, &kept, "releases", id+".json"); err != nil || !ok {
		return nil, err
	}
	document, err := template.Decode(kept.Entry.Document)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", id, err)
	}
	return document, nil
}

// current gives what runs on the server, and the release that it is of, or nil where none is known.
func (f folder) current(ctx context.Context) (*template.Release, currentFile, error) {
	var current currentFile
	if ok, err := f.read(ctx, &current, "current.json"); err != nil || !ok {
		return nil, current, err
	}
	document, err := f.release(ctx, current.Release)
	return document, current, err
}
