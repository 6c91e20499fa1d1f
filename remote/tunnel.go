package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
)

// DialContext opens a connection from the host to addr: network "tcp" with
// host:port, or "unix" with the path of a socket on the host. The error is a
// *ForwardError.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := h.line.Load().DialContext(ctx, network, addr)
	if err == nil {
		return conn, nil
	}
	var refused *ssh.OpenChannelError
	forbidden := errors.As(err, &refused) && refused.Reason == ssh.Prohibited
	return nil, &ForwardError{Address: h.target.Address, Endpoint: addr, Forbidden: forbidden, Err: err}
}

// ListenLoopback listens on a free port of the host's loopback address, where
// only programs on that host can connect. Its Addr is the one on the host. The
// caller closes it. The error is a *ForwardError.
func (h *Host) ListenLoopback(ctx context.Context) (net.Listener, error) {
	type opened struct {
		listener net.Listener
		err      error
	}
	line, answer := h.line.Load(), make(chan opened)
	started := line.start(func() {
		listener, err := line.Listen("tcp", "127.0.0.1:0")
		select {
		case answer <- opened{listener, err}:
		case <-ctx.Done():
			if err == nil {
				_ = listener.Close()
			}
		}
	})
	failed := &ForwardError{Address: h.target.Address, Endpoint: "a port on its loopback address"}
	if !started {
		failed.Err = ErrClosed
		return nil, failed
	}
	select {
	case <-ctx.Done():
		failed.Err = ctx.Err()
		return nil, failed
	case a := <-answer:
		if a.err == nil {
			return a.listener, nil
		}
		// sshd refuses this only where it is configured to.
		failed.Err, failed.Forbidden = a.err, line.alive()
		return nil, failed
	}
}

// Forward makes remoteAddr (host:port as seen from the host) reachable at a
// free port of this machine's loopback address, until stop is called, ctx ends
// or the host's connection does. stop waits for what it started and may be
// called twice.
func (h *Host) Forward(ctx context.Context, remoteAddr string) (localAddr string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("forward to %s on %s: %w", remoteAddr, h.target.Address, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(ctx, func() { _ = listener.Close() })
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { h.carry(ctx, conn, remoteAddr) })
		}
	})
	return listener.Addr().String(), func() {
		cancel()
		release()
		_ = listener.Close()
		running.Wait()
	}, nil
}

// carry joins one local connection to one from the host, until both directions
// have ended or ctx has.
func (h *Host) carry(ctx context.Context, local net.Conn, remoteAddr string) {
	defer func() { _ = local.Close() }()
	far, err := h.DialContext(ctx, "tcp", remoteAddr)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	defer context.AfterFunc(ctx, func() {
		_ = local.Close()
		_ = far.Close()
	})()
	var running sync.WaitGroup
	running.Go(func() { copyHalf(far, local) })
	copyHalf(local, far)
	running.Wait()
}

// copyHalf copies one direction and tells the other side its end.
func copyHalf(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
