package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Delete removes a backup: its record first, so that it no longer exists, then the rest. One that does
// not exist is no error. It may be repeated.
func (s *Store) Delete(ctx context.Context, of, name string) error {
	if !validLabel(of) || !ValidName(name) {
		return fmt.Errorf("delete backup %s/%s: that is no name of a backup", of, name)
	}
	for _, kind := range []string{recordKind, proofKind, sealedKind} {
		if err := s.target.Delete(ctx, s.object(of, name, kind)); err != nil {
			return fmt.Errorf("delete backup %s/%s in %s: %w", of, name, s.target, err)
		}
	}
	return nil
}

// Sweep removes what writes and deletes of this stack left that were cut off: objects without a
// record, older than Grace. It returns the names of what it removed, also with an error.
func (s *Store) Sweep(ctx context.Context) ([]string, error) {
	removed, err := s.sweep(ctx, Grace)
	if err != nil {
		return removed, fmt.Errorf("sweep %s: %w", s.target, err)
	}
	return removed, nil
}

func (s *Store) sweep(ctx context.Context, grace time.Duration) ([]string, error) {
	removed, err := s.target.Sweep(ctx, s.stack, grace)
	if err != nil {
		return removed, err
	}
	entries, err := s.entries(ctx, "")
	if err != nil {
		return removed, err
	}
	for _, e := range entries {
		kinds := e.leftovers(grace)
		if len(kinds) == 0 {
			continue
		}
		if !e.has(recordKind) {
			// A listing that lacks a record is not believed alone.
			if _, err := s.getSmall(ctx, s.object(e.of, e.name, recordKind)); !errors.Is(err, ErrAbsent) {
				if err != nil {
					return removed, err
				}
				continue
			}
		}
		for _, kind := range kinds {
			object := s.object(e.of, e.name, kind)
			if err := s.target.Delete(ctx, object); err != nil {
				return removed, err
			}
			removed = append(removed, object)
		}
	}
	return removed, nil
}

// leftovers are the kinds that stand there for nothing. The claim goes last: it guards the others.
func (e *entry) leftovers(grace time.Duration) []string {
	var kinds []string
	if e.has(recordKind) {
		if e.has(claimKind) {
			kinds = append(kinds, claimKind)
		}
		return kinds
	}
	for _, kind := range []string{proofKind, sealedKind, claimKind} {
		if !e.has(kind) {
			continue
		}
		if e.ages[kind] < grace {
			return nil
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// Pruned is what a Prune did.
type Pruned struct {
	Kept    []Kept
	Dropped []Record
	Swept   []string // leftovers, by object
	Damaged []error  // left as they are
}

// Prune deletes the backups of one block that keep does not name, and sweeps. What was done is
// returned with an error too.
func (s *Store) Prune(ctx context.Context, of string, keep Keep) (Pruned, error) {
	listing, err := s.List(ctx, of)
	if err != nil {
		return Pruned{}, err
	}
	kept, drop := keep.Choose(listing.Backups, s.now())
	p := Pruned{Kept: kept, Damaged: listing.Damaged}
	for _, r := range drop {
		if err := s.Delete(ctx, r.Of, r.Name); err != nil {
			return p, err
		}
		p.Dropped = append(p.Dropped, r)
	}
	p.Swept, err = s.Sweep(ctx)
	return p, err
}
