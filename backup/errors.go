package backup

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What a caller decides by. Errors that carry more are types below; errors.Is finds the sentinel in
// them. A refusal for lack of rights is fs.ErrPermission.
var (
	ErrExists      = errors.New("it exists already")
	ErrAbsent      = errors.New("it does not exist")
	ErrFull        = errors.New("no space left")
	ErrUnreachable = errors.New("the target cannot be reached")
	ErrCorrupted   = errors.New("corrupted")
	ErrNewer       = errors.New("written by a newer cloudship")
	ErrWrongKey    = errors.New("it is sealed for another key")
)

// A CorruptError is a backup that is not what was written: in its record, its object, or its proof.
// It is ErrCorrupted.
type CorruptError struct {
	Of, Name string
	Reason   string
	Age      time.Duration // of the record, by the target's clock, where it was found by a listing
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("backup %s/%s is corrupted: %s", e.Of, e.Name, e.Reason)
}

// Is makes a CorruptError an ErrCorrupted.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupted }

// Hint says what to do.
func (e *CorruptError) Hint() string { return "use another backup, and make a new one" }

// A NewerError is a record in a format that this program does not know. It is ErrNewer.
type NewerError struct {
	Of, Name string
	Format   int
	Age      time.Duration // as in CorruptError
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("backup %s/%s has format %d, this program knows up to %d", e.Of, e.Name, e.Format, Format)
}

// Is makes a NewerError an ErrNewer.
func (e *NewerError) Is(target error) bool { return target == ErrNewer }

// Hint says what to do.
func (e *NewerError) Hint() string {
	return "use the version of cloudship that wrote it, or a later one"
}

// A FindError says that a name fits no backup, or several. It is ErrAbsent.
type FindError struct {
	Of, Name string
	Several  []string // what it fits, as OF/NAME; none is none
}

func (e *FindError) Error() string {
	what := "backup " + e.Name
	if e.Of != "" {
		what = "backup " + e.Of + "/" + e.Name
	}
	if len(e.Several) > 0 {
		return fmt.Sprintf("%s may be any of %d: %s", what, len(e.Several), strings.Join(e.Several, ", "))
	}
	if e.Name == Latest {
		return "there is no " + what + " yet"
	}
	return "there is no " + what
}

// Is makes a FindError an ErrAbsent.
func (e *FindError) Is(target error) bool { return target == ErrAbsent }

// unfitError is ErrWrongKey, with those whose key would fit.
type unfitError struct {
	sealedFor []string
}

func (e *unfitError) Error() string {
	return fmt.Sprintf("%v: %s", ErrWrongKey, strings.Join(e.sealedFor, ", "))
}

func (e *unfitError) Unwrap() error { return ErrWrongKey }

// Hint says what to do.
func (e *unfitError) Hint() string {
	return "give the key that the stack had when the backup was made (CLOUDSHIP_KEY)"
}
