package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cloudship/cloudship/backup"
)

// stampOf is a moment as it stands in names: 20260921_180000.
func stampOf(t time.Time) string { return t.UTC().Format("20060102_150405") }

// VerifyBackup restores a backup into a scratch place on its server, looks whether it is sound there,
// and notes beside the backup that it is. Without a target that is named each that has the backup is
// verified, since each has bytes of its own.
func (s *Session) VerifyBackup(ctx context.Context, name, block, from string, tell func(Backed)) error {
	if s.id == "" {
		return ErrNothing
	}
	if err := s.openAccess(ctx); err != nil {
		return err
	}
	first, err := s.find(ctx, name, block, from)
	if err != nil {
		return err
	}
	first.vault.close()
	h, _, err := s.hold(ctx, first.block)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	var errs []error
	for _, t := range first.block.Targets {
		if from != "" && from != t.Name {
			continue
		}
		c, err := s.find(ctx, first.Name, first.Of, t.Name)
		if errors.Is(err, backup.ErrAbsent) {
			continue
		}
		if err == nil {
			err = s.verify(ctx, c, h.Prove, tell)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("backup %s/%s: target %s: %w", first.Of, first.Name, t.Name, err))
		}
	}
	return errors.Join(errs...)
}

// verify proves one backup in one target.
func (s *Session) verify(ctx context.Context, c choice, prove func(context.Context, io.Reader) (string, error), tell func(Backed)) error {
	defer c.vault.close()
	defer s.busy("verifying " + c.Record.String() + " in " + c.vault.name)()
	begun := time.Now()
	one := Backed{Block: c.Of, Target: c.vault.name, Name: c.Name, Size: c.Plain.Size}
	from, err := c.Open(ctx, c.Record)
	if err == nil {
		w := &counted{from: from}
		one.How, err = prove(ctx, w)
		err = errors.Join(err, from.Close())
		if err == nil && !w.ended {
			err = errors.New("it was not read to its end")
		}
	}
	if err == nil {
		_, err = c.Prove(ctx, c.Record, one.How, nil)
	}
	one.Took, one.Err = time.Since(begun), err
	tell(one)
	return err
}

// counted notes whether a stream has ended well.
type counted struct {
	from  io.Reader
	ended bool
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if err == io.EOF {
		c.ended = true
	}
	return n, err
}

// Restored is what a restore did.
type Restored struct {
	Block  string `json:"block"`
	Name   string `json:"name"`
	Target string `json:"target"`
	Server string `json:"server"`
	Before string `json:"before,omitempty"` // where the old data is kept
}

// RestoreBackup puts a backup in the place of the data that there is. It holds the stack's lock.
func (s *Session) RestoreBackup(ctx context.Context, name, block, from string) (Restored, error) {
	if err := s.Lock(ctx); err != nil {
		return Restored{}, err
	}
	if s.id == "" {
		return Restored{}, ErrNothing
	}
	if err := s.openAccess(ctx); err != nil {
		return Restored{}, err
	}
	c, err := s.find(ctx, name, block, from)
	if err != nil {
		return Restored{}, err
	}
	defer c.vault.close()
	server, err := s.holder(ctx, c.block)
	if err != nil {
		return Restored{}, fmt.Errorf("backup %s: %w", c.Of, err)
	}
	return s.restore(ctx, c, server)
}

// restore restores a backup onto a server.
func (s *Session) restore(ctx context.Context, c choice, server Server) (Restored, error) {
	done := Restored{Block: c.Of, Name: c.Name, Target: c.vault.name, Server: server.Mark.Address.String()}
	h, err := s.holdOn(ctx, c.block, server)
	if err != nil {
		return done, err
	}
	defer func() { _ = h.Close() }()
	defer s.busy("restoring " + c.Record.String())()
	done.Before, err = h.Restore(ctx, func(ctx context.Context) (io.ReadCloser, error) { return c.Open(ctx, c.Record) }, stampOf(time.Now()))
	if err != nil {
		return done, fmt.Errorf("restore %s onto %s: %w", c.Record, server.Mark.Address, err)
	}
	return done, nil
}

// Pruning is what keep does with the backups of a block in one target.
type Pruning struct {
	Block   string          `json:"block"`
	Target  string          `json:"target"`
	Kept    []backup.Kept   `json:"-"`
	Dropped []backup.Record `json:"-"`
	Swept   []string        `json:"swept,omitempty"`
}

// PruneBackups deletes the backups that keep does not keep any more, and what was left half-made. Dry,
// it says which those are.
func (s *Session) PruneBackups(ctx context.Context, names []string, dry bool, tell func(Pruning)) error {
	blocks, err := s.blocksNamed(names)
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range blocks {
		stores, err := s.vaults(ctx, b, "", time.Time{})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, store := range stores {
			p := Pruning{Block: b.Name, Target: store.name}
			if dry {
				listing, e := store.List(ctx, b.Name)
				p.Kept, p.Dropped = keepOf(b).Choose(listing.Backups, time.Now())
				err = e
			} else {
				pruned, e := store.Prune(ctx, b.Name, keepOf(b))
				p.Kept, p.Dropped, p.Swept = pruned.Kept, pruned.Dropped, pruned.Swept
				err = e
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("backup %s: target %s: %w", b.Name, store.name, err))
			}
			tell(p)
		}
		closeVaults(stores)
	}
	return errors.Join(errs...)
}
