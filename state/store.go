package state

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// A Serial numbers a snapshot, from 1. The zero Serial is no snapshot.
type Serial uint64

// String gives the number as stores write it: six digits, more when needed.
func (s Serial) String() string { return fmt.Sprintf("%06d", uint64(s)) }

// parseSerial is the inverse of String; other spellings of a number are refused.
func parseSerial(name string) (Serial, bool) {
	n, err := strconv.ParseUint(name, 10, 64)
	s := Serial(n)
	return s, err == nil && s > 0 && s.String() == name
}

// A Store keeps the snapshots of one stack and the record of its lease. It sees
// bytes only. All methods may be called concurrently, by many processes. An
// error that is none of those named leaves the effect unknown: calling again
// with the same arguments is harmless, and reading tells.
type Store interface {
	// Name says where the store is, for messages. It holds no credentials.
	Name() string

	// Put stores data as the snapshot of this number if there is none yet,
	// whole or not at all; when it returns nil the data outlives a power loss.
	// There being one already is ErrExists, also when the data is the same: a
	// caller whose earlier answer was lost compares. No room is ErrFull, not
	// being allowed to is fs.ErrPermission; then nothing is left behind.
	Put(ctx context.Context, serial Serial, data []byte) error

	// Get returns the snapshot of this number, byte for byte, or ErrAbsent.
	Get(ctx context.Context, serial Serial) ([]byte, error)

	// List returns the numbers greater than after that are in the store, in
	// rising order. Every Put that returned before List was called is seen.
	List(ctx context.Context, after Serial) ([]Serial, error)

	// Delete removes a snapshot. One that is gone already is no error.
	Delete(ctx context.Context, serial Serial) error

	// Lease returns the record of the lease; a zero Record if none was made.
	Lease(ctx context.Context) (Record, error)

	// SwapLease replaces the record whose version is given, "" for none yet,
	// and returns the version of the new one. When the record has another
	// version by now nothing is changed and the error is ErrMoved. A caller
	// whose answer was lost reads: no two records are the same. A store that
	// finds itself unable to keep this contract answers ErrUnfit.
	SwapLease(ctx context.Context, version string, data []byte) (string, error)

	// Close lets go of connections. It frees no lease.
	Close() error
}

// A Record is what a store knows of the lease.
type Record struct {
	Data    []byte
	Version string        // changes with every swap; "" if there is no record
	Age     time.Duration // since the last swap, by the store's own clock; negative if that was set back
}

// Guarded is a store that has, beside the lease, a lock that the operating
// system frees when the process that holds it ends.
type Guarded interface {
	Store

	// Guard takes the lock, or returns ErrGuarded at once if another process
	// of this machine has it. Whoever gets it knows that the holder before is
	// gone, if that holder ran on this machine.
	Guard(ctx context.Context) (release func() error, err error)
}
