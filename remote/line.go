package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// keepaliveEvery is the pause between two signs of life, and how long an
// answer may take.
const keepaliveEvery = 15 * time.Second

// line is one SSH connection with the goroutines that serve it.
type line struct {
	*ssh.Client
	identity Identity      // what the host was accepted by
	hostKey  ssh.PublicKey // what it showed
	done     chan struct{}
	stop     context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func newLine(client *ssh.Client, identity Identity, hostKey ssh.PublicKey) *line {
	ctx, stop := context.WithCancel(context.Background())
	l := &line{Client: client, identity: identity, hostKey: hostKey, done: make(chan struct{}), stop: stop}
	l.start(func() {
		defer close(l.done)
		_ = client.Wait()
	})
	l.start(func() { l.keepAlive(ctx, keepaliveEvery) })
	return l
}

// start runs f in a goroutine that close waits for. It answers false, and runs
// nothing, when the line was closed.
func (l *line) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.running.Go(f)
	return true
}

// alive tells whether the connection still stands.
func (l *line) alive() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// close ends the connection and waits for its goroutines.
func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	_ = l.Client.Close()
	l.running.Wait()
}

// keepAlive asks for a sign of life and closes a line that gives none, so that
// calls over a dead line end instead of hanging.
func (l *line) keepAlive(ctx context.Context, every time.Duration) {
	for pause(ctx, every) == nil {
		answered := make(chan error, 1)
		l.start(func() {
			_, _, err := l.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		})
		limit := time.NewTimer(every)
		select {
		case err := <-answered:
			limit.Stop()
			if err == nil {
				continue
			}
		case <-ctx.Done():
		case <-limit.C:
		}
		limit.Stop()
		_ = l.Client.Close()
		return
	}
}

// openSession opens a session and leaves when ctx ends.
func (l *line) openSession(ctx context.Context) (*ssh.Session, error) {
	type opened struct {
		session *ssh.Session
		err     error
	}
	answer := make(chan opened)
	started := l.start(func() {
		session, err := l.NewSession()
		select {
		case answer <- opened{session, err}:
		case <-ctx.Done():
			if err == nil {
				_ = session.Close()
			}
		}
	})
	if !started {
		return nil, ErrClosed
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answer:
		if a.err != nil {
			return nil, fmt.Errorf("%w: %v", ErrClosed, a.err)
		}
		return a.session, nil
	}
}
