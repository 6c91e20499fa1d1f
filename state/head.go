package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A Head is where a state stands.
type Head struct {
	Snapshot *Snapshot       // the newest good one; nil if nothing was committed yet
	Damaged  []*DamagedError // newer ones that were passed over

	last *Snapshot // as Snapshot, but a fence before the first commit as well
	top  Serial    // the highest number in use
}

// ReadHead returns the newest good snapshot. Damaged ones above it are passed
// over and named. If all are damaged the error is ErrDamaged: a state that
// cannot be read is not an empty one. A newer format is a *NewerError.
func ReadHead(ctx context.Context, store Store) (Head, error) {
	serials, err := store.List(ctx, 0)
	if err != nil {
		return Head{}, fmt.Errorf("list snapshots of %s: %w", store.Name(), err)
	}
	var head Head
	for _, serial := range slices.Backward(serials) {
		head.top = max(head.top, serial)
		s, err := Read(ctx, store, serial)
		if damaged, ok := errors.AsType[*DamagedError](err); ok {
			head.Damaged = append(head.Damaged, damaged)
			continue
		}
		if errors.Is(err, ErrAbsent) { // pruned since it was listed
			continue
		}
		if err != nil {
			return Head{}, err
		}
		head.last = s
		if s.Body != nil {
			head.Snapshot = s
		}
		return head, nil
	}
	if len(head.Damaged) > 0 {
		return head, fmt.Errorf("state %s: no good snapshot is left: %w", store.Name(), head.Damaged[0])
	}
	return head, nil
}

// Read returns one snapshot, whole: ErrAbsent, *DamagedError, *NewerError.
func Read(ctx context.Context, store Store, serial Serial) (*Snapshot, error) {
	data, err := store.Get(ctx, serial)
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s of %s: %w", serial, store.Name(), err)
	}
	return Decode(serial, data)
}
