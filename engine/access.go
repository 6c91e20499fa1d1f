package engine

import (
	"context"
	"fmt"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// Servers gives what is remembered of the servers of a group, or of all groups, and a way to reach
// them. Nothing is asked of the clouds.
func (s *Session) Servers(ctx context.Context, group string) ([]resource.Found, error) {
	if s.id == "" {
		return nil, ErrNothing
	}
	if group != "" && s.stack.Group(group) == nil {
		return nil, fmt.Errorf("the stack has no group %q", group)
	}
	if err := s.needKey(ctx); err != nil {
		return nil, err
	}
	if err := s.openReleases(s.Memory().Releases); err != nil {
		return nil, err
	}
	if err := s.openHosts(); err != nil {
		return nil, err
	}
	if s.Driver() == nil {
		return nil, errOnPaper
	}
	memory := s.Memory()
	var servers []resource.Found
	for _, a := range serversIn(plan.Have{Records: memory.Records}, "") {
		if group == "" || a.Name == group {
			servers = append(servers, memory.Records[a].Found)
		}
	}
	return servers, nil
}

// Hosts reaches servers. Servers must have been called.
func (s *Session) Hosts() *deploy.Hosts { return s.Driver().Hosts() }

// Driver is the driver for servers. Servers must have been called.
func (s *Session) Driver() *deploy.Driver {
	d, _ := s.hosts.(*deploy.Driver)
	return d
}

// Enrolled reports whether a server is known to accept nothing but its own certificate.
func (s *Session) Enrolled(server resource.Found) bool {
	a := server.Mark.Address
	return s.Memory().Records[resource.DockerOn(a.Name, a.Index)].Facts.Enrolled
}
