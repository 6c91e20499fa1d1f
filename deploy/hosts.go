package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// Hosts reaches the servers of one stack: one connection a server for as long as it holds.
type Hosts struct {
	options Options
	pool    remote.Pool
}

func newHosts(o Options) *Hosts { return &Hosts{options: o} }

// bootPatience is how long a server that has just been made may take until it answers.
const bootPatience = 5 * time.Minute

// glance is how long a server that should be up is tried.
const glance = 20 * time.Second

// Reach connects to a server, or gives the connection that there is. An enrolled server is accepted
// by its certificate alone; one that may not be enrolled yet also by its bootstrap key. With tell,
// the server may still be booting and is waited for.
func (h *Hosts) Reach(ctx context.Context, server resource.Found, enrolled bool, tell func(string)) (*remote.Host, error) {
	if server.Facts.PublicIP == "" && server.Facts.Access == nil {
		return nil, fmt.Errorf("%s has no address yet", server.Mark.Address)
	}
	t, err := h.target(ctx, server, enrolled, tell)
	if err != nil {
		return nil, err
	}
	return h.pool.Get(ctx, t)
}

// target says how a server is reached and what proves that it is the one.
func (h *Hosts) target(ctx context.Context, server resource.Found, enrolled bool, tell func(string)) (remote.Target, error) {
	if server.Facts.Access != nil {
		return h.existing(ctx, server, tell)
	}
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
	return t, nil
}

// existing says how a server that was there before is reached: with a key of the user's own, and by
// nothing but the host key that the stack file has.
func (h *Hosts) existing(ctx context.Context, server resource.Found, tell func(string)) (remote.Target, error) {
	if h.options.Logins == nil {
		return remote.Target{}, fmt.Errorf("%s: there is no key to log in with", server.Mark.Address)
	}
	login, err := h.options.Logins(ctx, server.Provider)
	if err != nil {
		return remote.Target{}, resource.WithHint(fmt.Errorf("log in on %s: %w", server.Mark.Address, err), remote.UserKeysHint)
	}
	t, err := targetOf(*server.Facts.Access, login)
	t.Wait, t.Progress = glance, tell
	return t, err
}

// targetOf gives an access as a target.
func targetOf(a resource.Access, login []ssh.Signer) (remote.Target, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a.HostKey))
	if err != nil {
		return remote.Target{}, fmt.Errorf("the host key of %s: %w", a.Address, err)
	}
	t := remote.Target{Address: a.Address, User: a.User, Auth: login, Identity: remote.Identity{Pinned: []ssh.PublicKey{key}}, Wait: glance}
	if a.Jump == nil {
		return t, nil
	}
	jump, err := targetOf(*a.Jump, login)
	t.Jump = &jump
	return t, err
}

// BootstrapName names the bootstrap host key of a server: one for all servers of a group and
// generation, since they may be made in one call with one user data.
func BootstrapName(m resource.Mark) string {
	return fmt.Sprintf("group %s generation %d", m.Address.Name, m.Generation)
}

// Close ends all connections.
func (h *Hosts) Close() { _ = h.pool.Close() }

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
