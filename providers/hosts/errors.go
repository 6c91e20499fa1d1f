package hosts

import (
	"context"
	"errors"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// fault gives an error of a machine its kind. All that is done there may be done again, so that what
// got lost is simply tried once more.
func fault(err error, a resource.Address) error {
	if err == nil {
		return nil
	}
	var known *resource.Error
	if errors.As(err, &known) {
		if known.Address.IsZero() {
			known.Address = a
		}
		return known
	}
	e := &resource.Error{Kind: resource.Failed, Address: a, Message: err.Error(), Cause: err}
	var (
		unreachable *remote.UnreachableError
		wrongKey    *remote.HostKeyError
		refused     *remote.AuthError
	)
	switch {
	case errors.As(err, &wrongKey):
		e.Kind = resource.Unauthorized
		e.Hint = "if the machine was really made anew, put its new key into host_key; else somebody is in between: nothing was sent"
	case errors.As(err, &refused):
		e.Kind, e.Hint = resource.Unauthorized, remote.UserKeysHint+", and put its public part into authorized_keys there"
	case errors.As(err, &unreachable), errors.Is(err, remote.ErrClosed):
		e.Kind = resource.Unavailable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind = resource.Ambiguous
	}
	return e
}

// final is an error that is not worth waiting for: who asks sits before the plan.
func final(err error, a resource.Address) error {
	err = fault(err, a)
	var e *resource.Error
	if errors.As(err, &e) && e.Kind == resource.Unavailable {
		e.Kind, e.Hint = resource.Failed, "start the machine, put its address right, or take it out of the provider block"
	}
	return err
}
