package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A History is what a store remembers, oldest first.
type History struct {
	Snapshots []*Snapshot // without Body and Sealed; Read gives a whole one
	Findings  []error     // what does not hold: *DamagedError, *BrokenError
}

// A BrokenError is a snapshot that does not follow from those before it.
type BrokenError struct {
	Serial Serial
	Reason string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("snapshot %s breaks the chain: %s", e.Serial, e.Reason)
}

// ReadHistory reads every snapshot and proves the chain. What was pruned is
// not missed: a closing snapshot also follows from the closing one before it.
// The error is for a store that cannot be read; what is wrong with the
// snapshots is in Findings.
func ReadHistory(ctx context.Context, store Store) (History, error) {
	serials, err := store.List(ctx, 0)
	if err != nil {
		return History{}, fmt.Errorf("list snapshots of %s: %w", store.Name(), err)
	}
	var h History
	var damaged []Serial
	for _, serial := range serials {
		s, err := Read(ctx, store, serial)
		switch {
		case errors.Is(err, ErrAbsent): // pruned since it was listed
			continue
		case errors.Is(err, ErrDamaged):
			damaged = append(damaged, serial)
			h.Findings = append(h.Findings, err)
			continue
		case err != nil:
			return h, err
		}
		s.Body, s.Sealed = nil, ""
		h.Snapshots = append(h.Snapshots, s)
	}
	h.Findings = append(h.Findings, broken(h.Snapshots, damaged)...)
	return h, nil
}

// broken returns the snapshots that do not follow from those before them. One
// that follows a damaged one is not reported: the damage was.
func broken(snapshots []*Snapshot, damaged []Serial) []error {
	var found []error
	var before, closing *Snapshot
	for _, s := range snapshots {
		next := before != nil && s.Previous != nil && s.Previous.Serial == before.Serial
		switch {
		case same(s.Previous, before.Link()):
		case !next && s.Closing && same(s.PreviousClosing, closing.Link()): // what was between is pruned
		case s.Previous != nil && slices.Contains(damaged, s.Previous.Serial):
		case s.Previous == nil:
			found = append(found, &BrokenError{s.Serial, "it claims to be the first"})
		case !next:
			found = append(found, &BrokenError{s.Serial, fmt.Sprintf("it follows %s, which is missing", s.Previous.Serial)})
		default:
			found = append(found, &BrokenError{s.Serial, fmt.Sprintf("it follows another %s than this one", before.Serial)})
		}
		before = s
		if s.Closing {
			closing = s
		}
	}
	return found
}

func same(a, b *Link) bool {
	return a == b || a != nil && b != nil && *a == *b
}
