package hosts

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// settings is the provider block.
type settings struct {
	Plugin   string             `json:"plugin"` // which plugin serves the block: for whoever started it
	User     string             `json:"user"`
	Identity string             `json:"identity"`
	Hosts    map[string]setting `json:"hosts"`
}

// setting is one machine of it.
type setting struct {
	Address string `json:"address"`
	HostKey string `json:"host_key"`
	User    string `json:"user"`
	Jump    string `json:"jump"`
}

// Configure takes the machines and the key to log in with. No machine is reached yet: one that is
// down must not keep the others from being worked on.
func (p *Provider) Configure(ctx context.Context, c resource.Config) error {
	s, err := read(c)
	if err != nil {
		return err
	}
	var machines []machine
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		m, err := s.machine(name, nil)
		if err != nil {
			return err
		}
		for _, other := range machines {
			if other.id == m.id {
				return invalid("hosts", fmt.Sprintf("%s and %s are one machine: %s", other.name, m.name, m.id), "name it once")
			}
		}
		machines = append(machines, m)
	}
	keys, err := remote.UserKeys(ctx, s.Identity, os.LookupEnv)
	if err != nil {
		return &resource.Error{Kind: resource.Unauthorized, Message: err.Error(), Hint: remote.UserKeysHint}
	}
	for i := range machines {
		machines[i].target = machines[i].reached(machines[i].access, keys.Signers)
	}
	p.alias, p.machines = c.Alias, machines
	return nil
}

// read brings the block's values into their shape. A setting that nobody knows is an error.
func read(c resource.Config) (settings, error) {
	var s settings
	b, err := json.Marshal(c.Values)
	if err != nil {
		return s, invalid("", err.Error(), "")
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, invalid("hosts", "provider hosts does not understand its block: "+err.Error(), "")
	}
	if len(s.Hosts) == 0 {
		return s, invalid("hosts", "provider hosts has no machines", `say hosts = { NAME = { address = "203.0.113.7", host_key = "ssh-ed25519 AAAA..." } }`)
	}
	return s, nil
}

// machine makes up one machine, with those through which it is reached.
func (s settings) machine(name string, from []string) (machine, error) {
	if slices.Contains(from, name) {
		return machine{}, invalid("hosts", fmt.Sprintf("%s is reached through itself", name), "")
	}
	h, ok := s.Hosts[name]
	if !ok {
		return machine{}, invalid("hosts", fmt.Sprintf("%s is to be reached through %q, which is no machine of the block", from[len(from)-1], name), "")
	}
	m := machine{name: name, access: resource.Access{Address: h.Address, User: h.User}}
	if m.access.User == "" {
		m.access.User = s.User
	}
	var err error
	if m.id, err = remote.NormalAddress(h.Address); err != nil {
		return m, invalid("hosts", fmt.Sprintf("%s: %v", name, err), `want address = "203.0.113.7", with :PORT when that is not 22`)
	}
	m.access.Address = m.id
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(h.HostKey))
	if err != nil {
		return m, invalid("hosts", fmt.Sprintf("%s: its host_key is no public key in one line", name),
			`want host_key = "ssh-ed25519 AAAA...": 'cat /etc/ssh/ssh_host_ed25519_key.pub' there prints it, and 'cloudship ssh SERVER --host-key' that of another stack's server`)
	}
	m.access.HostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	if h.Jump != "" {
		jump, err := s.machine(h.Jump, append(from, name))
		if err != nil {
			return m, err
		}
		m.access.Jump = &jump.access
	}
	return m, nil
}

func invalid(field, message, hint string) error {
	return &resource.Error{Kind: resource.Invalid, Field: field, Message: message, Hint: hint}
}
