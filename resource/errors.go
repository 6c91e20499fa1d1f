package resource

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrorKind is what a caller decides on. Kinds cross the wire and are never renumbered or renamed.
type ErrorKind string

// The kinds of errors.
const (
	Gone         ErrorKind = "gone"         // surely not there
	Conflict     ErrorKind = "conflict"     // something else is in the way: a name that is taken, a thing in use
	Busy         ErrorKind = "busy"         // it works on an earlier change: the same call later
	RateLimited  ErrorKind = "rate_limited" // refused, nothing happened: the same call after Until
	Quota        ErrorKind = "quota"        // the account may not have more
	Invalid      ErrorKind = "invalid"      // the request is wrong, Field says where
	Unauthorized ErrorKind = "unauthorized" // credentials missing, wrong, or without the scope
	Ambiguous    ErrorKind = "ambiguous"    // it may have happened or not: look before repeating
	Unavailable  ErrorKind = "unavailable"  // nothing happened, the other side is out of order: the same call later
	Failed       ErrorKind = "failed"       // it was tried and went wrong for good
)

// Error is what a driver answers when a call goes wrong.
type Error struct {
	Kind      ErrorKind `json:"kind"`
	Op        string    `json:"op,omitempty"`      // what was being done: "create droplet"
	Address   Address   `json:"address,omitzero"`  // to which resource
	Message   string    `json:"message,omitempty"` // the other side's own words
	RequestID string    `json:"request_id,omitempty"`
	Field     string    `json:"field,omitempty"` // of Invalid
	Until     time.Time `json:"until,omitzero"`  // of RateLimited
	Hint      string    `json:"hint,omitempty"`  // the next thing to type or do
	Cause     error     `json:"-"`               // on this side of the wire only
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Cause != nil:
		b.WriteString(e.Cause.Error())
	default:
		b.WriteString(string(e.Kind))
	}
	if e.Field != "" {
		fmt.Fprintf(&b, " (field %s)", e.Field)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is lets errors.Is(err, resource.KindError(resource.Gone)) ask for a kind.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Kind == e.Kind && t.Message == "" && t.Op == ""
}

// KindError is a bare error of a kind.
func KindError(k ErrorKind) error { return &Error{Kind: k} }

// KindOf tells the kind of an error: that of the first Error in its chain, else Failed, and "" for
// nil.
func KindOf(err error) ErrorKind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Failed
}

// IsGone reports whether err says that a resource is surely not there.
func IsGone(err error) bool { return KindOf(err) == Gone }

// HintOf finds the hint in an error's chain: the next thing to type or do, or "".
func HintOf(err error) string {
	var h interface{ HintText() string }
	if errors.As(err, &h) {
		return h.HintText()
	}
	return ""
}

// HintText is the error's hint.
func (e *Error) HintText() string { return e.Hint }

// WithHint attaches the next thing to type or do to an error.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, hint}
}

type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error    { return h.error }
func (h *hinted) HintText() string { return h.hint }
