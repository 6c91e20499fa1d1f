package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// The kinds of data.
const (
	DataFiles      = "files"      // a folder
	DataSQLite     = "sqlite"     // a database in a file
	DataPostgreSQL = "postgresql" // a database of a service
	DataMySQL      = "mysql"      // the same, also of MariaDB
	DataCommand    = "command"    // what a command of the template writes
)

// Data is what is saved of a server, and brought back to it. See the backup block of the stack file.
type Data struct {
	Kind     string
	Service  string // whose container it is in, or
	Volume   string // of the template
	Path     string // of files and sqlite
	Database string // of postgresql and mysql; empty: what the container's environment says
	User     string // the same
	Check    string // SQL, or a command, that must succeed on a restored copy
	Stage    bool   // sqlite: hold a copy on the server's disk meanwhile
}

// Holding is data on one server that is connected. It is for one thing at a time.
type Holding struct {
	data     Data
	standing *rollout // the release that runs there
	run      inside   // runs scripts in the service's container
	say      func(string)
}

// inside runs a POSIX shell script in the container that has the data, between streams. Its error
// has the last of what the script wrote to stderr.
type inside func(ctx context.Context, script string, args []string, stdin io.Reader, stdout io.Writer) error

// errNoRelease says that nothing runs on a server.
var errNoRelease = errors.New("no release runs there")

// Hold connects to data on a server. What goes on is told to say.
func (d *Driver) Hold(ctx context.Context, server resource.Found, enrolled bool, secrets map[string]string, data Data, say func(string)) (*Holding, error) {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return nil, err
	}
	r, err := d.hosts.standing(ctx, host, server, secrets, say)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, resource.WithHint(fmt.Errorf("%s: %w", server.Mark.Address, errNoRelease), "'cloudship apply' brings one there")
	}
	h := &Holding{data: data, standing: r, say: say}
	h.run = h.inContainer
	if err := h.known(); err != nil {
		return nil, errors.Join(err, r.engine.Close())
	}
	return h, nil
}

// Close ends the connection to the engine.
func (h *Holding) Close() error { return h.standing.engine.Close() }

// Release is the release that runs beside the data.
func (h *Holding) Release() string { return h.standing.id }

// known refuses data of a service or volume that the release does not have.
func (h *Holding) known() error {
	release := h.standing.release
	if h.data.Service != "" {
		s, ok := release.Services[h.data.Service]
		if !ok {
			return fmt.Errorf("release %s has no service %q", h.standing.id, h.data.Service)
		}
		if h.data.Kind == DataCommand && s.Backup == nil {
			return resource.WithHint(fmt.Errorf("service %s of release %s has no x-cloudship.backup", h.data.Service, h.standing.id),
				"write one into the template, or say which kind of data it is")
		}
	}
	if _, ok := release.Volumes[h.data.Volume]; h.data.Volume != "" && !ok {
		return fmt.Errorf("release %s has no volume %q", h.standing.id, h.data.Volume)
	}
	return nil
}

// settledPatience is how long a rollout on the server is waited for.
const settledPatience = 2 * time.Minute

// settled waits until no rollout is half-way on the server.
func (h *Holding) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settledPatience)
	defer cancel()
	for told := false; ; told = true {
		note, err := h.standing.folder.rolling(ctx)
		if err != nil || note == nil {
			return err
		}
		if !told {
			h.say("a rollout of release " + note.Release + " is under way on the server: waiting for its end")
		}
		if pause(ctx, time.Second) != nil {
			return resource.WithHint(fmt.Errorf("a rollout of release %s is half-way on %s", note.Release, h.standing.server), "'cloudship apply' ends it")
		}
	}
}

// Save writes the data to a stream: as it is at one moment, where its kind knows moments. It gives
// what else is worth knowing. After an error what was written is worth nothing.
func (h *Holding) Save(ctx context.Context, to io.Writer) (notes map[string]string, err error) {
	if err := h.settled(ctx); err != nil {
		return nil, err
	}
	switch h.data.Kind {
	case DataFiles:
		return h.saveFiles(ctx, to)
	case DataSQLite:
		return h.saveSQLite(ctx, to)
	case DataPostgreSQL, DataMySQL:
		return nil, h.sql(ctx, sqlSave, nil, nil, to)
	case DataCommand:
		return nil, h.saveCommand(ctx, to)
	}
	return nil, fmt.Errorf("data of kind %q is not known", h.data.Kind)
}

// service is the service that has the data, empty for a volume.
func (h *Holding) service() template.Service { return h.standing.release.Services[h.data.Service] }
