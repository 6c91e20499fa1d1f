package remote

import (
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// Target says which host is meant, who logs in, and how the host proves that
// it is the one.
type Target struct {
	// Address is a name or an IP, with a port when it is not 22.
	Address string
	// User logs in: root, or a user who may sudo without a password.
	// Empty is root.
	User string
	// Auth are the keys to log in with, tried in this order.
	Auth []ssh.Signer
	// Identity is what the host is accepted by.
	Identity Identity
	// Jump is the host through which this one is reached; nil is directly.
	Jump *Target
	// Wait is how long a host that does not answer yet is tried again, as a
	// server that boots. Zero tries once.
	Wait time.Duration
	// Progress, if set, is told in a line what a long wait is waiting for.
	Progress func(string)
}

// Identity is what a host must show. Both ways may be given: then a
// certificate is asked for first. Who knows that a host is enrolled leaves
// Pinned empty, because the bootstrap key stays readable in its user data.
type Identity struct {
	// CA and Mark accept a host certificate that CA signed for Mark alone.
	CA   ssh.PublicKey
	Mark string
	// Pinned are plain host keys, each of which is accepted.
	Pinned []ssh.PublicKey
}

// Hostport is the address with its port.
func (t Target) Hostport() string {
	if _, _, err := net.SplitHostPort(t.Address); err == nil {
		return t.Address
	}
	return net.JoinHostPort(t.Address, "22")
}

// login is the user's name, root by default.
func (t Target) login() string {
	if t.User == "" {
		return "root"
	}
	return t.User
}

func (t Target) tell(line string) {
	if t.Progress != nil {
		t.Progress(line)
	}
}
