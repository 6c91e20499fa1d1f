package machine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Paper is a Host whose servers exist only on paper: they have addresses and a
// power switch, and nothing answers there. It holds many thousands of them.
type Paper struct {
	mu      sync.Mutex
	servers map[string]Machine
	disks   map[string]Disk
	written int    // how often a disk was
	last    uint32 // number of the last address given out
}

var _ Host = (*Paper)(nil)

// NewPaper makes a host that already knows the given servers.
func NewPaper(known ...Machine) *Paper {
	p := &Paper{servers: make(map[string]Machine, len(known)), disks: map[string]Disk{}}
	for _, m := range known {
		p.servers[m.ID] = m
		if n, ok := paperNumber(m.PublicIP); ok {
			p.last = max(p.last, n)
		}
	}
	return p
}

// Create notes a server down. An ID that is known is an error.
func (p *Paper) Create(ctx context.Context, s Spec) (Machine, error) {
	if err := ctx.Err(); err != nil {
		return Machine{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.servers[s.ID]; ok {
		return Machine{}, fmt.Errorf("server %s exists", s.ID)
	}
	p.last++
	public, private := paperAddresses(p.last)
	m := Machine{
		ID: s.ID, Name: s.Name, PublicIP: public.String(), PrivateIP: private.String(),
		Running: true, Labels: s.Labels,
	}
	p.servers[s.ID] = m
	return m, nil
}

// Delete crosses a server out.
func (p *Paper) Delete(_ context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.servers, id)
	delete(p.disks, id)
	return nil
}

// SetPower switches a server on or off.
func (p *Paper) SetPower(_ context.Context, id string, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.servers[id]
	if !ok {
		return fmt.Errorf("no server %s", id)
	}
	m.Running = on
	p.servers[id] = m
	return nil
}

// Reboot leaves a server running.
func (p *Paper) Reboot(ctx context.Context, id string) error { return p.SetPower(ctx, id, true) }

// List answers every server, sorted by ID.
func (p *Paper) List(context.Context) ([]Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Machine, 0, len(p.servers))
	for _, m := range p.servers {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Machine) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Running tells whether a server exists, is switched on, and has no file Down.
func (p *Paper) Running(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, down := p.disks[id][Down]
	return p.servers[id].Running && !down
}

// Close does nothing.
func (p *Paper) Close() error { return nil }

// Paper servers live in two corners of the loopback network, so that a
// connection to one is refused at once and never leaves this machine.
const (
	paperPublic  = 127<<24 | 128<<16
	paperPrivate = 127<<24 | 192<<16
)

func paperAddresses(n uint32) (public, private netip.Addr) {
	return address(paperPublic + n), address(paperPrivate + n)
}

func address(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

func paperNumber(ip string) (uint32, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return n - paperPublic, n > paperPublic && n < paperPrivate
}
