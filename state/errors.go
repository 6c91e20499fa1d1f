package state

import (
	"errors"
	"fmt"
	"time"
)

// What a caller decides by. Errors that carry more are types below; errors.Is
// finds the sentinel in them.
var (
	ErrExists    = errors.New("the snapshot exists already")
	ErrAbsent    = errors.New("no such snapshot")
	ErrMoved     = errors.New("the lease changed hands meanwhile")
	ErrGuarded   = errors.New("another process of this machine has it locked")
	ErrFull      = errors.New("no space left")
	ErrLocked    = errors.New("locked")
	ErrLeaseLost = errors.New("the lease is lost")
	ErrDamaged   = errors.New("damaged")
	ErrNewer     = errors.New("written by a newer cloudship")
	ErrOther     = errors.New("belongs to another stack")
	ErrClosed    = errors.New("the session is closed")
	ErrUnfit     = errors.New("the server does not keep the conditions of a put (If-None-Match, If-Match); no state is safe there")
	ErrNoKey     = errors.New("no sealing key")
	ErrWrongKey  = errors.New("wrong sealing key")
)

// A LockedError says who holds a state. It is ErrLocked.
type LockedError struct {
	Store   string // its name
	Holder  string // user@host; "" if another process has not said yet
	PID     int
	Command string
	Since   time.Time // by the holder's clock
	Until   time.Time // when the lease ends unless it is renewed, by our clock
	Here    bool      // the holder is a live process of this machine

	untold bool // the store's clock cannot tell how old the lease is
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("state %s is locked by another process", e.Store)
	}
	return fmt.Sprintf("state %s is locked by %s since %s (%s)",
		e.Store, e.Holder, e.Since.Local().Format("15:04"), e.Command)
}

// Is makes a LockedError an ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Hint says what to do.
func (e *LockedError) Hint() string {
	switch {
	case e.Here:
		return fmt.Sprintf("wait for it, or end process %d on this machine and run the command again", e.PID)
	case e.Until.IsZero():
		return "wait for it and run the command again"
	}
	return fmt.Sprintf("wait for it; if it has died, its lock ends by itself at %s", e.Until.Local().Format("15:04:05"))
}

// A DamagedError names a snapshot that cannot be trusted: torn, altered, or
// not the one its number says. It is ErrDamaged.
type DamagedError struct {
	Serial Serial // 0 where bytes were decoded without a number
	Reason string
}

func (e *DamagedError) Error() string {
	if e.Serial == 0 {
		return "snapshot is damaged: " + e.Reason
	}
	return fmt.Sprintf("snapshot %s is damaged: %s", e.Serial, e.Reason)
}

// Is makes a DamagedError an ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// A NewerError is a snapshot in a format that this program does not know. It
// is never passed over for an older one. It is ErrNewer.
type NewerError struct {
	Serial Serial
	Format int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("snapshot %s has format %d, this program knows up to %d", e.Serial, e.Format, Format)
}

// Is makes a NewerError an ErrNewer.
func (e *NewerError) Is(target error) bool { return target == ErrNewer }

// Hint says what to do.
func (e *NewerError) Hint() string {
	return "use the version of cloudship that wrote it, or a later one"
}
