package digitalocean

import (
	"encoding/json"
	"fmt"

	"github.com/cloudship/cloudship/lab/cloud"
)

// state is everything that the cloud holds; it is saved as it is.
type state struct {
	LastID    int // numbers are given out above it
	Droplets  cloud.Table[int, *droplet]
	Keys      cloud.Table[int, *sshKey]
	Tags      cloud.Table[string, *tag] // by name in lower case
	VPCs      cloud.Table[string, *vpc]
	Firewalls cloud.Table[string, *firewall]
	Balancers cloud.Table[string, *loadBalancer]
	Actions   cloud.Table[int, *action]
	Volumes   cloud.Table[string, *volume]
	Snapshots cloud.Table[string, *snapshot]
	Domains   cloud.Table[string, *domain]

	ReservedIPs  cloud.Table[string, *reservedIP] // by address
	Certificates cloud.Table[string, *certificate]
	Projects     cloud.Table[string, *project]

	Assignments map[string]assignment // to projects, by URN
	Destroyed   map[int]*destroyed    // droplets that were destroyed with others
	UserData    map[string]string     // by digest: droplets share it
}

// firstID makes numbers look like DigitalOcean's.
const firstID = 400_000_000

func (a *API) nextID() int {
	a.state.LastID++
	return a.state.LastID
}

// Snapshot answers the state for Restore, or nil if nothing changed since the
// last one.
func (a *API) Snapshot() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.dirty {
		return nil, nil
	}
	b, err := json.Marshal(&a.state)
	if err != nil {
		return nil, fmt.Errorf("save DigitalOcean's state: %w", err)
	}
	a.dirty = false
	return b, nil
}

// Restore takes up the state of an earlier process, nil if it left none.
// Servers must know their machines by now; those that are missing are made
// again, and those that no droplet has, because that process was killed before
// it could save, are deleted.
func (a *API) Restore(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b != nil {
		if err := json.Unmarshal(b, &a.state); err != nil {
			return fmt.Errorf("read DigitalOcean's state: %w", err)
		}
	}
	for _, act := range a.state.Actions.All {
		if act.Status == inProgress {
			a.open[act.ID] = act
			a.busy[act.resource()]++
		}
	}
	has := map[string]bool{}
	for _, d := range a.state.Droplets.All {
		has[d.server()] = true
		if _, ok, _ := a.Servers.Find(d.server()); !ok {
			a.Servers.Create(a.spec(d))
		}
	}
	for _, m := range a.Servers.All() {
		if m.Labels[providerLabel] == provider && !has[m.ID] {
			a.Servers.Delete(m.ID)
		}
	}
	for _, lb := range a.state.Balancers.All {
		a.Addresses.Keep(lb.Address)
		lb.pushed = false
	}
	a.Wake()
	return nil
}

// Counts tells how many resources of each kind there are.
func (a *API) Counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.state
	return map[string]int{
		"droplets": s.Droplets.Len(), "ssh_keys": s.Keys.Len(), "tags": s.Tags.Len(), "vpcs": s.VPCs.Len(),
		"firewalls": s.Firewalls.Len(), "load_balancers": s.Balancers.Len(), "volumes": s.Volumes.Len(),
		"snapshots": s.Snapshots.Len(), "domains": s.Domains.Len(), "reserved_ips": s.ReservedIPs.Len(),
		"certificates": s.Certificates.Len(),
	}
}
