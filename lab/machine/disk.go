package machine

import (
	"encoding/json"
	"errors"
	"maps"
)

// What a paper server cannot do.
var (
	ErrNoServer = errors.New("no server has this address")
	ErrOff      = errors.New("the server is switched off")
)

// Disk is what is noted on a paper server: files by name. It goes with its server.
type Disk map[string]json.RawMessage

// Down is the file that says that what runs on a paper server does not answer.
const Down = "down"

// Read answers all files of the server with a public address.
func (p *Paper) Read(ip string) (Disk, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, err := p.at(ip)
	if err != nil {
		return nil, err
	}
	disk := maps.Clone(p.disks[id])
	if disk == nil {
		disk = Disk{}
	}
	return disk, nil
}

// Write replaces a file of the server with a public address; nil content removes it.
func (p *Paper) Write(ip, name string, content json.RawMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, err := p.at(ip)
	if err != nil {
		return err
	}
	p.written++
	if content == nil {
		delete(p.disks[id], name)
		return nil
	}
	if p.disks[id] == nil {
		p.disks[id] = Disk{}
	}
	p.disks[id][name] = content
	return nil
}

// at finds the server with a public address, which must be on. The lock is held.
func (p *Paper) at(ip string) (id string, err error) {
	for id, m := range p.servers {
		if m.PublicIP != ip {
			continue
		}
		if !m.Running {
			return "", ErrOff
		}
		return id, nil
	}
	return "", ErrNoServer
}

// Disks are all disks by server, and how often any was written: for who keeps them. What is in
// them is never changed in place.
func (p *Paper) Disks() (disks map[string]Disk, written int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	disks = make(map[string]Disk, len(p.disks))
	for id, d := range p.disks {
		disks[id] = maps.Clone(d)
	}
	return disks, p.written
}

// Insert puts kept disks back.
func (p *Paper) Insert(disks map[string]Disk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, d := range disks {
		p.disks[id] = maps.Clone(d)
	}
}
