package remote

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
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
	jump     *Host
	line     atomic.Pointer[line]
	sessions chan struct{}
	settled  atomic.Bool // cloud-init has ended
}

// Target is what the host was dialled with.
func (h *Host) Target() Target { return h.target }

// Certified tells whether the host showed a certificate of our CA, and so is
// enrolled, rather than a pinned key.
func (h *Host) Certified() bool { return h.line.Load().certified }

// Done is closed when the connection is lost or closed.
func (h *Host) Done() <-chan struct{} { return h.line.Load().done }

// Close ends the connection with everything that runs over it and waits for
// its goroutines. It may be called twice.
func (h *Host) Close() error {
	h.line.Load().close()
	h.closeJump()
	return nil
}

func (h *Host) closeJump() {
	if h.jump != nil {
		_ = h.jump.Close()
	}
}

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

// DialContext opens a connection from the host to addr: network "tcp" with
// host:port, or "unix" with the path of a socket on the host.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := h.line.Load().Client.DialContext(ctx, network, addr)
	if err == nil {
		return conn, nil
	}
	var refused *ssh.OpenChannelError
	forbidden := errors.As(err, &refused) && refused.Reason == ssh.Prohibited
	return nil, &ForwardError{Address: h.target.Address, Endpoint: addr, Forbidden: forbidden, Err: err}
}
