package remote

import (
	"fmt"
	"strconv"
	"strings"
)

// UnreachableError says that no SSH connection to a host came about.
type UnreachableError struct {
	Address string
	// Tries is how often it was tried.
	Tries int
	Err   error
}

func (e *UnreachableError) Error() string {
	if e.Tries > 1 {
		return fmt.Sprintf("reach %s over SSH (%d tries): %v", e.Address, e.Tries, e.Err)
	}
	return fmt.Sprintf("reach %s over SSH: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// HostKeyError says that a host showed a key that is not accepted for it.
// Nothing was sent to that host.
type HostKeyError struct {
	Address string
	// Want are the accepted keys and certificates, with their fingerprints.
	Want []string
	// Got is what the host showed.
	Got string
	// Why is what was wrong with a certificate; it may be empty.
	Why string
}

func (e *HostKeyError) Error() string {
	want := strings.Join(e.Want, " or ")
	if want == "" {
		want = "no key at all, since none is known"
	}
	text := fmt.Sprintf("host key of %s: want %s, got %s", e.Address, want, e.Got)
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// AuthError says that a host with the right key refused our login.
type AuthError struct {
	Address, User string
	// Keys are the fingerprints of the keys that were offered.
	Keys []string
	Err  error
}

func (e *AuthError) Error() string {
	keys := strings.Join(e.Keys, ", ")
	if keys == "" {
		keys = "none"
	}
	return fmt.Sprintf("log in on %s as %s: refused (keys offered: %s)", e.Address, e.User, keys)
}

func (e *AuthError) Unwrap() error { return e.Err }

// ExitError says that a command ran on a host and ended with another status
// than zero.
type ExitError struct {
	Address, Command string
	// Code is the exit status, -1 when a signal or a lost host ended the command.
	Code int
	// Signal ended the command, when there was one.
	Signal string
	// Stderr are the last lines that the command wrote to stderr.
	Stderr string
}

func (e *ExitError) Error() string {
	how := "exit " + strconv.Itoa(e.Code)
	switch {
	case e.Signal != "":
		how = "killed by " + e.Signal
	case e.Code < 0:
		how = "ended without a status"
	}
	text := fmt.Sprintf("run %s on %s: %s", e.Command, e.Address, how)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

// ForwardError says that the host's sshd does not open a tunnel.
type ForwardError struct {
	Address, Endpoint string
	// Forbidden is true where sshd is configured to refuse it, false where
	// nothing answered at the endpoint.
	Forbidden bool
	Err       error
}

func (e *ForwardError) Error() string {
	why := e.Err.Error()
	if e.Forbidden {
		why = "its sshd forbids it (AllowTcpForwarding, AllowStreamLocalForwarding): " + why
	}
	return fmt.Sprintf("open %s on %s: %s", e.Endpoint, e.Address, why)
}

func (e *ForwardError) Unwrap() error { return e.Err }

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}
