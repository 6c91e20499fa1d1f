package hosts

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// machine is one machine of the provider block.
type machine struct {
	name   string
	id     string // its address in one form: what tells it from others
	access resource.Access
	target remote.Target
}

// glance is how long a machine that should be up is tried.
const glance = 5 * time.Second

// reached gives an access as a target. The key in it was parsed before.
func (m machine) reached(a resource.Access, login []ssh.Signer) remote.Target {
	t := remote.Target{Address: a.Address, User: a.User, Auth: login, Wait: glance}
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a.HostKey)); err == nil {
		t.Identity.Pinned = []ssh.PublicKey{key}
	}
	if a.Jump != nil {
		jump := m.reached(*a.Jump, login)
		t.Jump = &jump
	}
	return t
}

// machine finds a machine by its id.
func (p *Provider) machine(id string) (machine, bool) {
	for _, m := range p.machines {
		if m.id == id {
			return m, true
		}
	}
	return machine{}, false
}

// reach connects to a machine, or gives the connection that there is.
func (p *Provider) reach(ctx context.Context, m machine) (*remote.Host, error) {
	host, err := p.pool.Get(ctx, m.target)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", m.name, err)
	}
	return host, nil
}

// found is a machine as a server of ours.
func (p *Provider) found(m machine, t taken) resource.Found {
	access := m.access
	ip := m.id
	if host, _, err := net.SplitHostPort(ip); err == nil {
		ip = host
	}
	return resource.Found{
		Mark: t.Mark, Provider: p.alias, ID: m.id, Ready: true, Created: t.Taken,
		Spec:     &resource.ServerSpec{Group: t.Mark.Address.Name, Options: resource.Options{"address": m.id}},
		Observed: []string{"group", "options"},
		Facts:    resource.Facts{Status: "taken", PublicIP: ip, Access: &access},
	}
}
