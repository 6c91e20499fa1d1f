package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Prove restores a backup into a scratch place on the server, looks whether it is sound, and takes it
// away again. What runs is not touched. It says how the backup was proven.
func (h *Holding) Prove(ctx context.Context, from io.Reader) (how string, err error) {
	switch h.data.Kind {
	case DataFiles, DataSQLite:
		return h.proveOnDisk(ctx, from)
	case DataPostgreSQL, DataMySQL:
		return h.proveDatabase(ctx, from)
	}
	return h.proveCommand(ctx, from)
}

func (h *Holding) proveOnDisk(ctx context.Context, from io.Reader) (how string, err error) {
	p, err := h.place(ctx)
	if err != nil {
		return "", err
	}
	scratch := p.scratch("verify.")
	if err := h.receive(ctx, scratch, from); err != nil {
		return "", err
	}
	how, err = h.prove(ctx, scratch)
	if err := errors.Join(err, h.clean(ctx, scratch)); err != nil {
		return "", err
	}
	return "restored beside the data: " + how, nil
}

// Restore puts a backup in the data's place. It is restored into a scratch place first and looked at
// there; only then is what uses the data stopped, the one put in the place of the other, and started
// again. Whatever fails leaves the data as it was. The old data is kept: Restore says where, or "" if
// there was none. Stamp is in its name. A backup may be opened twice.
//
// Killed anywhere, the old or the new data is in its place, whole, and Restore run again ends it.
func (h *Holding) Restore(ctx context.Context, open func(context.Context) (io.ReadCloser, error), stamp string) (before string, err error) {
	if err := h.settled(ctx); err != nil {
		return "", err
	}
	switch h.data.Kind {
	case DataFiles, DataSQLite:
		return h.restoreOnDisk(ctx, open, stamp)
	case DataPostgreSQL, DataMySQL:
		return h.restoreDatabase(ctx, open, stamp)
	}
	return "", h.restoreCommand(ctx, open)
}

func (h *Holding) restoreOnDisk(ctx context.Context, open func(context.Context) (io.ReadCloser, error), stamp string) (before string, err error) {
	p, err := h.place(ctx)
	if err != nil {
		return "", err
	}
	s := h.swapping(p, stamp)
	if err := s.settle(ctx); err != nil {
		return "", fmt.Errorf("take away what an earlier restore left: %w", err)
	}
	u, err := h.users(ctx, p)
	if err != nil {
		return "", err
	}
	from, err := open(ctx)
	if err != nil {
		return "", err
	}
	err = h.receive(ctx, s.scratch, from)
	if err := errors.Join(err, from.Close()); err != nil {
		return "", fmt.Errorf("%w; nothing was changed", err)
	}
	how, err := h.prove(ctx, s.scratch)
	if err != nil {
		return "", errors.Join(fmt.Errorf("%w; nothing was changed", err), h.clean(ctx, s.scratch))
	}
	h.say("restored into " + s.scratch + ": " + how)
	if err := u.swapped(ctx, s); err != nil {
		return "", err
	}
	if there, err := s.replaced(ctx); err != nil || !there {
		return "", err
	}
	return s.before, nil
}

// restoredFile says that a backup was restored onto a server after it was made.
type restoredFile struct {
	Backup string    `json:"backup"`
	At     time.Time `json:"at"`
}

// RestoredBefore is the backup of a block that was restored onto a server after it was made, or "".
func (d *Driver) RestoredBefore(ctx context.Context, server resource.Found, enrolled bool, block string) (string, error) {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return "", err
	}
	var note restoredFile
	_, err = d.hosts.folder(host).read(ctx, &note, "restored-"+block+".json")
	return note.Backup, err
}

// NoteRestored notes that.
func (d *Driver) NoteRestored(ctx context.Context, server resource.Found, enrolled bool, block, name string) error {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return err
	}
	return d.hosts.folder(host).write(ctx, restoredFile{Backup: name, At: time.Now().UTC()}, "restored-"+block+".json")
}
