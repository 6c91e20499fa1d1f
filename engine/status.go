package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
)

// Status is what there is of a stack and how it does.
type Status struct {
	Stack     resource.StackID   `json:"stack"`
	Balancers []BalancerStatus   `json:"load_balancers,omitempty"`
	Groups    []GroupStatus      `json:"groups,omitempty"`
	Unknown   []resource.Unknown `json:"unknown,omitempty"`
	Switch    []string           `json:"switches_under_way,omitempty"`
	Healthy   bool               `json:"healthy"`
	Backups   []BackupStatus     `json:"backups,omitempty"`
}

// BalancerStatus is one load balancer.
type BalancerStatus struct {
	Name    string            `json:"name"`
	Address string            `json:"address,omitempty"` // IP
	Status  string            `json:"status,omitempty"`  // the provider's word
	Live    string            `json:"live,omitempty"`    // group
	Members []resource.Member `json:"members,omitempty"`
}

// GroupStatus is one group.
type GroupStatus struct {
	Name    string         `json:"name"`
	Live    bool           `json:"live"`
	Release string         `json:"release,omitempty"`
	Servers []ServerStatus `json:"servers,omitempty"`
}

// ServerStatus is one server with what runs on it.
type ServerStatus struct {
	Address    resource.Address     `json:"address"`
	PublicIP   string               `json:"public_ip,omitempty"`
	Status     string               `json:"status,omitempty"`
	Docker     string               `json:"docker,omitempty"` // version
	Release    string               `json:"release,omitempty"`
	Broken     string               `json:"broken,omitempty"`
	Containers []resource.Container `json:"containers,omitempty"`
}

// ErrNothing says that nothing was applied yet.
var ErrNothing = resource.WithHint(fmt.Errorf("nothing of this stack is there yet"), "'cloudship apply' makes it")

// ask finds out what there is.
func (s *Session) ask(ctx context.Context, memory resource.Memory, clouds, hosts bool) (plan.Have, error) {
	defer s.busy("asking clouds and servers")()
	return plan.Refresh(ctx, s.drivers(), memory, plan.RefreshOptions{Clouds: clouds, Hosts: hosts, Event: s.options.Event, Pace: s.options.Pace})
}

// refresh asks clouds and hosts what there is, without planning.
func (s *Session) refresh(ctx context.Context) (plan.Have, error) {
	if s.id == "" {
		return plan.Have{}, ErrNothing
	}
	if err := s.openClouds(ctx, s.blocks()); err != nil {
		return plan.Have{}, err
	}
	if err := s.needKey(ctx); err != nil {
		return plan.Have{}, err
	}
	if err := s.openReleases(s.Memory().Releases); err != nil {
		return plan.Have{}, err
	}
	if err := s.openHosts(); err != nil {
		return plan.Have{}, err
	}
	return s.ask(ctx, s.Memory(), true, true)
}

// Status asks clouds and hosts how the stack does.
func (s *Session) Status(ctx context.Context) (*Status, error) {
	have, err := s.refresh(ctx)
	if err != nil {
		return nil, err
	}
	memory := s.Memory()
	status := &Status{Stack: s.id, Healthy: len(have.Unknown) == 0}
	for _, a := range slices.SortedFunc(maps.Keys(have.Unknown), resource.Address.Compare) {
		status.Unknown = append(status.Unknown, resource.Unknown{Address: a, Reason: have.Unknown[a]})
	}
	live := map[string]bool{}
	for _, b := range s.stack.LoadBalancers {
		lb := have.Records[resource.LoadBalancer(b.Name)]
		members := have.Records[resource.MembersOf(b.Name)]
		status.Balancers = append(status.Balancers, BalancerStatus{
			Name: b.Name, Address: lb.Facts.PublicIP, Status: lb.Facts.Status, Live: memory.Intent.Live[b.Name], Members: members.Facts.Members,
		})
		live[memory.Intent.Live[b.Name]] = true
		if w, ok := memory.Intent.Switch[b.Name]; ok {
			status.Switch = append(status.Switch, fmt.Sprintf("%s: from %s to %s, at %s; 'cloudship apply' goes on from here", b.Name, w.From, w.To, w.Phase))
		}
	}
	for _, g := range s.stack.Groups {
		group := GroupStatus{Name: g.Name, Live: live[g.Name], Release: memory.Intent.Releases[g.Name]}
		for _, a := range serversIn(have, g.Name) {
			server := serverStatus(have, a)
			status.Healthy = status.Healthy && server.Broken == ""
			group.Servers = append(group.Servers, server)
		}
		status.Groups = append(status.Groups, group)
	}
	status.Backups = s.backupStatus(ctx, func(*stack.Backup) bool { return true })
	return status, nil
}

func serversIn(have plan.Have, group string) []resource.Address {
	var list []resource.Address
	for a := range have.Records {
		if a.Kind() == resource.KindServer && (group == "" || a.Name == group) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, resource.Address.Compare)
	return list
}

func serverStatus(have plan.Have, a resource.Address) ServerStatus {
	server := have.Records[a]
	docker := have.Records[resource.DockerOn(a.Name, a.Index)]
	release := have.Records[resource.ReleaseOn(a.Name, a.Index)]
	s := ServerStatus{Address: a, PublicIP: server.Facts.PublicIP, Status: server.Facts.Status, Containers: release.Facts.Containers}
	if docker.Facts.Host != nil {
		s.Docker = docker.Facts.Host.DockerVersion
	}
	if spec, ok := release.Found.Spec.(*resource.ReleaseSpec); ok {
		s.Release = spec.Release
	}
	s.Broken = or(or(server.Broken, docker.Broken), release.Broken)
	return s
}
