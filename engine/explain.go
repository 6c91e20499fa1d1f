package engine

import (
	"errors"
	"io"

	"github.com/hashicorp/hcl/v2"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
)

// DiagnosticsError is what is wrong with the stack file, or what a driver found wrong with what it
// says.
type DiagnosticsError struct {
	Stack       *stack.Stack
	Diagnostics hcl.Diagnostics
	err         error
}

func newDiagnosticsError(s *stack.Stack, diags hcl.Diagnostics) *DiagnosticsError {
	return &DiagnosticsError{Stack: s, Diagnostics: diags, err: diags}
}

// Print writes the diagnostics for people, with the lines of the file that they are about.
func (e *DiagnosticsError) Print(w io.Writer, color bool) error {
	return stack.Print(w, e.Diagnostics, e.Stack.Sources(), color)
}

func (e *DiagnosticsError) Error() string { return e.err.Error() }

// Unwrap gives the cause: the diagnostics, or the driver's error.
func (e *DiagnosticsError) Unwrap() error { return e.err }

// Explain puts a driver's error beside the line of the stack file that it is about. All other errors
// stay as they are.
func (s *Session) Explain(err error) error {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, one := range list.Unwrap() {
			all = append(all, s.Explain(one))
		}
		return errors.Join(all...)
	}
	var e *resource.Error
	if !errors.As(err, &e) || e.Address.IsZero() {
		return err
	}
	d := s.stack.Explain(e)
	if d == nil {
		return err
	}
	return &DiagnosticsError{Stack: s.stack, Diagnostics: hcl.Diagnostics{d}, err: err}
}
