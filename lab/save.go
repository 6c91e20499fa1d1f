package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudship/cloudship/lab/machine"
)

// saved is what a lab keeps in its data folder.
type saved struct {
	Servers      string                  `json:"servers,omitempty"`
	Listen       string                  `json:"listen,omitempty"`
	Token        string                  `json:"token,omitempty"`
	Paper        []machine.Machine       `json:"paper,omitempty"`
	Disks        map[string]machine.Disk `json:"disks,omitempty"` // of paper servers
	DigitalOcean json.RawMessage         `json:"digitalocean,omitempty"`
	Rackspace    json.RawMessage         `json:"rackspace,omitempty"`
}

// stateFile is the name of the file in which a lab keeps its cloud.
const stateFile = "cloud.json"

// load reads what an earlier lab kept in dir, nothing if there was none.
func load(dir string) (saved, error) {
	var s saved
	if dir == "" {
		return s, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the lab's cloud: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read the lab's cloud in %s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

// save keeps what the clouds and their paper servers hold, if it changed.
func (l *Lab) save(ctx context.Context) error {
	changed := false
	for i, snapshot := range []func() ([]byte, error){l.ocean.Snapshot, l.rack.Snapshot} {
		b, err := snapshot()
		if err != nil {
			return err
		}
		if b != nil {
			l.saved[i], changed = b, true
		}
	}
	paper, onPaper := l.host.(*machine.Paper)
	var disks map[string]machine.Disk
	written := 0
	if onPaper {
		disks, written = paper.Disks()
	}
	if !changed && written == l.written {
		return nil
	}
	l.written = written
	s := saved{
		Servers: l.options.Servers, Listen: l.listener.Addr().String(), Token: l.options.Token, DigitalOcean: l.saved[0], Rackspace: l.saved[1],
		Disks: disks,
	}
	if onPaper {
		all, err := paper.List(ctx)
		if err != nil {
			return err
		}
		s.Paper = all
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("save the lab's cloud: %w", err)
	}
	return replace(filepath.Join(l.options.Dir, stateFile), b)
}

// replace writes a file in one motion: after a crash it is the old or the new
// one. Only its owner may read it, for it holds the token.
func replace(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// saveEvery is how often a changed cloud is saved.
const saveEvery = 200 * time.Millisecond

// keepSaving saves the cloud from time to time, until ctx ends.
func (l *Lab) keepSaving(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		if err := l.save(ctx); err != nil {
			l.options.Log.Error("save the lab's cloud", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
