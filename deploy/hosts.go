package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// Hosts reaches the servers of one stack: one connection a server for as long as it holds.
type Hosts struct {
	options Options
	mu      sync.Mutex
	open    map[resource.Mark]*connection
}

// connection is one server's; its lock makes those who want it first wait for the one who dials.
type connection struct {
	mu   sync.Mutex
	host *remote.Host
}

func newHosts(o Options) *Hosts {
	return &Hosts{options: o, open: map[resource.Mark]*connection{}}
}

// bootPatience is how long a server that has just been made may take until it answers.
const bootPatience = 5 * time.Minute

// glance is how long a server that should be up is tried.
const glance = 20 * time.Second

// Reach connects to a server, or gives the connection that there is. An enrolled server is accepted
// by its certificate alone; one that may not be enrolled yet also by its bootstrap key. With tell,
// the server may still be booting and is waited for.
func (h *Hosts) Reach(ctx context.Context, server resource.Found, enrolled bool, tell func(string)) (*remote.Host, error) {
	if server.Facts.PublicIP == "" {
		return nil, fmt.Errorf("%s has no address yet", server.Mark.Address)
	}
	h.mu.Lock()
	c := h.open[server.Mark]
	if c == nil {
		c = &connection{}
		h.open[server.Mark] = c
	}
	h.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.host != nil {
		select {
		case <-c.host.Done():
			c.host = nil
		default:
			return c.host, nil
		}
	}
	host, err := remote.Dial(ctx, h.target(server, enrolled, tell))
	if err != nil {
		return nil, err
	}
	c.host = host
	return host, nil
}

// target says how a server is reached and what proves that it is the one.
func (h *Hosts) target(server resource.Found, enrolled bool, tell func(string)) remote.Target {
	t := remote.Target{
		Address: server.Facts.PublicIP,
		User:    h.options.User,
		Auth:    []ssh.Signer{h.options.Keys.Login().Signer()},
		Identity: remote.Identity{
			CA:   h.options.Keys.CA().Public(),
			Mark: server.Mark.Encode(),
		},
		Wait:     glance,
		Progress: tell,
	}
	if !enrolled {
		t.Identity.Pinned = []ssh.PublicKey{h.options.Keys.Bootstrap(BootstrapName(server.Mark)).Public()}
	}
	if tell != nil {
		t.Wait = bootPatience
	}
	return t
}

// BootstrapName names the bootstrap host key of a server: one for all servers of a group and
// generation, since they may be made in one call with one user data.
func BootstrapName(m resource.Mark) string {
	return fmt.Sprintf("group %s generation %d", m.Address.Name, m.Generation)
}

// drop forgets a connection, so that the next Reach dials again.
func (h *Hosts) drop(m resource.Mark) {
	h.mu.Lock()
	c := h.open[m]
	delete(h.open, m)
	h.mu.Unlock()
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.host != nil {
		_ = c.host.Close()
	}
}

// Close ends all connections.
func (h *Hosts) Close() {
	h.mu.Lock()
	marks := make([]resource.Mark, 0, len(h.open))
	for m := range h.open {
		marks = append(marks, m)
	}
	h.mu.Unlock()
	for _, m := range marks {
		h.drop(m)
	}
}

// classify gives an error of a server the kind that the walk decides on: a lost connection is tried
// again, all else is final.
func classify(err error, a resource.Address) error {
	if err == nil {
		return nil
	}
	var known *resource.Error
	if errors.As(err, &known) {
		if known.Address.IsZero() {
			known.Address = a
		}
		return err
	}
	e := &resource.Error{Kind: resource.Failed, Address: a, Cause: err}
	var unreachable *remote.UnreachableError
	if errors.As(err, &unreachable) || errors.Is(err, remote.ErrClosed) {
		e.Kind = resource.Unavailable
	}
	return e
}
