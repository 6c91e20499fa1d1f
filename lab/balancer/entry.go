package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// entry is one open port. Its rule may change while it is open: what comes in
// afterwards follows the new one.
type entry struct {
	listener net.Listener
	rule     atomic.Pointer[rule]
	server   *http.Server
	requests *handover
}

// listen opens a port.
func (b *balancer) listen(ctx context.Context, address string, r *rule) (*entry, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, os.ErrPermission) {
		listener, err = b.borrow(ctx, address, err)
	}
	if err != nil {
		return nil, err
	}
	e := &entry{listener: listener, requests: newHandover(listener.Addr())}
	e.rule.Store(r)
	e.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			b.serveHTTP(w, req, e.rule.Load())
		}),
		ErrorLog: b.serverLog,
	}
	return e, nil
}

// borrow has the Docker engine open a port that this user may not open.
func (b *balancer) borrow(ctx context.Context, address string, refused error) (net.Listener, error) {
	b.log.Debug("port is opened through Docker", "address", address, "refused", refused)
	listener, err := borrow(ctx, address, func(line string) { b.log.Info(line) })
	if err != nil {
		return nil, fmt.Errorf("%w: this user may not open ports this low, and Docker could not do it (%w); "+
			"run the lab as root, or lower the bound with 'sysctl net.ipv4.ip_unprivileged_port_start=80'", refused, err)
	}
	return listener, nil
}

// run accepts connections until the listener is closed.
func (b *balancer) run(e *entry) {
	idle := b.config.Load().idleTimeout()
	e.server.ReadHeaderTimeout, e.server.IdleTimeout = idle, idle
	b.running.Go(func() { _ = e.server.Serve(e.requests) }) // ends with the handover
	b.running.Go(func() {
		for {
			conn, err := e.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				b.log.Warn("accept", "address", e.listener.Addr().String(), "error", err)
				if !pause(b.life, 50*time.Millisecond) {
					return
				}
				continue
			}
			b.take(e, conn)
		}
	})
}

// take sends a new connection the way its rule says.
func (b *balancer) take(e *entry, conn net.Conn) {
	r := e.rule.Load()
	switch {
	case r.raw():
		b.running.Go(func() { b.serveTCP(conn, r) })
	case r.tls != nil:
		e.requests.put(tls.Server(conn, r.tls))
	default:
		e.requests.put(conn)
	}
}

// close ends the port. Requests that are open may finish while the context
// lasts.
func (e *entry) close(ctx context.Context) {
	e.listener.Close()
	if e.server.Shutdown(ctx) != nil {
		e.server.Close()
	}
	e.requests.Close()
}

// pause waits and reports whether the time passed before the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// handover is a net.Listener fed by hand.
type handover struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newHandover(address net.Addr) *handover {
	return &handover{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *handover) put(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.closed:
		conn.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.address }
