package remote

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
	"time"
)

// maxSessions is how many commands run at a time on one host. OpenSSH allows
// ten sessions a connection; tunnels do not count.
const maxSessions = 8

// ErrClosed says that the connection to the host was closed or lost.
var ErrClosed = errors.New("the SSH connection is closed")

// Host is one SSH connection to one host, shared by everything that is done
// there. It is safe for concurrent use. Close it when done.
type Host struct {
	target   Target
	jump     *Host // nil is directly
	ownsJump bool
	line     atomic.Pointer[line]
	sessions chan struct{}
	settled  atomic.Bool // cloud-init has ended

	enrolling sync.Mutex
	retired   bool // the bootstrap key is known to be gone
}

// Target is what the host was dialled with.
func (h *Host) Target() Target { return h.target }

// Certified tells whether the host showed a certificate of our CA, and so is
// enrolled, rather than a pinned key.
func (h *Host) Certified() bool {
	_, certified := h.line.Load().hostKey.(*ssh.Certificate)
	return certified
}

// HostKey is the key that the host proved to have: of a certificate, the key that it is for.
func (h *Host) HostKey() ssh.PublicKey {
	key := h.line.Load().hostKey
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// Done is closed when the connection is lost or closed.
func (h *Host) Done() <-chan struct{} { return h.line.Load().done }

// Close ends the connection with everything that runs over it and waits for
// its goroutines. It may be called twice.
func (h *Host) Close() error {
	h.line.Load().close()
	if h.ownsJump {
		return h.jump.Close()
	}
	return nil
}

// alive tells whether the connection still stands.
func (h *Host) alive() bool { return h.line.Load().alive() }

// redial replaces the connection by a new login, where id accepts the host from
// now on: group memberships and host certificates count from the login on. What
// runs over the old connection ends.
func (h *Host) redial(ctx context.Context, id Identity, patience time.Duration) error {
	fresh, err := h.dialPatiently(ctx, id, patience)
	if err != nil {
		return err
	}
	h.line.Swap(fresh).close()
	return nil
}
