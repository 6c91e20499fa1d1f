package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// settled is how many closing snapshots in a row, with nothing between them,
// show that below them everything was pruned before.
const settled = 8

// Prune removes the snapshots of finished commands except the closing one of
// each, and returns how many. It reads from the head down only as far as there
// may be any. Where a closing snapshot does not follow from the one before it,
// and damaged ones, are left as they are.
func (s *Session) Prune(ctx context.Context) (int, error) {
	recent, err := s.recent(ctx)
	if err != nil {
		return 0, fmt.Errorf("prune %s: %w", s.store.Name(), err)
	}
	serials := prunable(recent)
	for i, serial := range serials {
		if err := s.lease.ensure(ctx, s.options.TTL/4); err != nil {
			return i, fmt.Errorf("prune %s: %w", s.store.Name(), err)
		}
		if err := s.store.Delete(ctx, serial); err != nil {
			return i, fmt.Errorf("prune snapshot %s of %s: %w", serial, s.store.Name(), err)
		}
	}
	return len(serials), nil
}

// recent returns the good snapshots down to where everything is settled, oldest
// first.
func (s *Session) recent(ctx context.Context) ([]*Snapshot, error) {
	serials, err := s.store.List(ctx, 0)
	if err != nil {
		return nil, err
	}
	var found []*Snapshot
	row := 0 // of closing ones
	for _, serial := range slices.Backward(serials) {
		snapshot, err := Read(ctx, s.store, serial)
		switch {
		case errors.Is(err, ErrDamaged) || errors.Is(err, ErrAbsent):
			row = 0
			continue
		case err != nil:
			return nil, err
		}
		snapshot.Body, snapshot.Sealed = nil, ""
		found = append(found, snapshot)
		if row++; !snapshot.Closing {
			row = 0
		}
		if row == settled {
			break
		}
	}
	slices.Reverse(found)
	return found, nil
}

// prunable returns those that history does without: all but the closing ones,
// where the next closing one follows from the closing one before them. The
// newest come first: when pruning is broken off after any of them, the chain
// holds.
func prunable(snapshots []*Snapshot) []Serial {
	var serials, open []Serial
	var closing *Snapshot
	for _, s := range snapshots {
		if !s.Closing {
			open = append(open, s.Serial)
			continue
		}
		if same(s.PreviousClosing, closing.Link()) {
			serials = append(serials, open...)
		}
		closing, open = s, nil
	}
	slices.Reverse(serials)
	return serials
}
