package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// Server is a server of the stack that can be reached.
type Server struct {
	resource.Found
	Enrolled bool // it accepts nothing but its own certificate
}

// selector is how servers are named on a command line: blue, or blue[0], or an address.
var selector = regexp.MustCompile(`^(?:group\.)?([a-z][a-z0-9-]*)(?:(?:\.server)?\[([0-9]+)\])?$`)

// Servers gives what is remembered of a stack's servers: all of them, those of a group ("blue"), or
// one ("blue[0]"). Nothing is asked of the clouds, nothing is connected yet.
func (s *Session) Servers(ctx context.Context, which string) ([]Server, error) {
	if s.id == "" {
		return nil, ErrNothing
	}
	group, index := "", -1
	if which != "" {
		m := selector.FindStringSubmatch(which)
		if m == nil {
			return nil, fmt.Errorf("%q names no servers: want a group, as in blue, or one of its servers, as in blue[0]", which)
		}
		group = m[1]
		if m[2] != "" {
			index, _ = strconv.Atoi(m[2])
		}
		if s.stack.Group(group) == nil {
			return nil, fmt.Errorf("the stack has no group %q", group)
		}
	}
	if err := s.openAccess(ctx); err != nil {
		return nil, err
	}
	memory := s.Memory()
	var servers []Server
	for _, a := range serversIn(plan.Have{Records: memory.Records}, group) {
		if index < 0 || a.Index == index {
			docker := memory.Records[resource.DockerOn(a.Name, a.Index)]
			servers = append(servers, Server{memory.Records[a].Found, docker.Facts.Enrolled})
		}
	}
	if len(servers) == 0 {
		return nil, resource.WithHint(fmt.Errorf("%s has no server that is known", or(which, "the stack")), "'cloudship status' lists the servers that there are")
	}
	return servers, nil
}

// openAccess makes ready what it takes to reach servers.
func (s *Session) openAccess(ctx context.Context) error {
	if err := s.needKey(ctx); err != nil {
		return err
	}
	if err := s.openReleases(s.Memory().Releases); err != nil {
		return err
	}
	if err := s.openHosts(); err != nil {
		return err
	}
	if s.driver() == nil {
		return errOnPaper
	}
	return nil
}

// driver is the driver for real servers, nil where they are on paper.
func (s *Session) driver() *deploy.Driver {
	d, _ := s.hosts.(*deploy.Driver)
	return d
}

// Reach connects to a server that Servers gave.
func (s *Session) Reach(ctx context.Context, server Server) (*remote.Host, error) {
	return s.driver().Hosts().Reach(ctx, server.Found, server.Enrolled, nil)
}

// Exec runs a command in a container of a service: on the server that is named, else on the first
// of the live group, or of any, that runs one. It gives the exit code.
func (s *Session) Exec(ctx context.Context, which string, o deploy.ExecOptions) (int, error) {
	servers, err := s.Servers(ctx, which)
	if err != nil {
		return 0, err
	}
	server, err := s.serverOf(servers, o.Service)
	if err != nil {
		return 0, err
	}
	return s.driver().Exec(ctx, server.Found, server.Enrolled, o)
}

// serverOf chooses the server that runs a service, by what is remembered, a live one first.
func (s *Session) serverOf(servers []Server, service string) (Server, error) {
	if len(servers) == 1 {
		return servers[0], nil
	}
	memory := s.Memory()
	live := map[string]bool{}
	for _, group := range memory.Intent.Live {
		live[group] = true
	}
	var found *Server
	for _, server := range servers {
		a := server.Mark.Address
		for _, c := range memory.Records[resource.ReleaseOn(a.Name, a.Index)].Facts.Containers {
			if c.Service == service && (found == nil || live[a.Name] && !live[found.Mark.Address.Name]) {
				found = &server
			}
		}
	}
	if found == nil {
		return Server{}, resource.WithHint(fmt.Errorf("no server runs service %q", service), "'cloudship status' lists what runs where")
	}
	return *found, nil
}

// RunHook runs a hook once more on every server that runs the service. A server that fails does not
// keep the others from theirs.
func (s *Session) RunHook(ctx context.Context, which, service, hook string, values map[string]string) error {
	servers, err := s.Servers(ctx, which)
	if err != nil {
		return err
	}
	ran := false
	var errs []error
	for _, server := range servers {
		a := server.Mark.Address
		did, err := s.driver().RunHook(ctx, server.Found, server.Enrolled, s.secretValues(), service, hook, values, func(line string) { s.say("%s: %s", a, line) })
		ran = ran || did
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
		}
	}
	if !ran && len(errs) == 0 {
		return fmt.Errorf("no server runs service %q", service)
	}
	return errors.Join(errs...)
}
