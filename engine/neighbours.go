package engine

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// OthersError says that a plan deletes servers on which other stacks live, and that nobody has said
// that it may.
type OthersError struct {
	Others []string // sentences
}

func (e *OthersError) Error() string {
	return "other stacks live on servers that would be deleted\n  " + strings.Join(e.Others, "\n  ")
}

// HintText says what to do.
func (e *OthersError) HintText() string {
	return "nothing was changed; destroy those stacks first, or say --with-others to take their containers and data along"
}

// others tells which stacks lose their containers with the servers that a plan deletes. A machine
// that is only let go lives on, and they with it.
func others(p *plan.Plan, have plan.Have, schemas map[string]resource.Schema) []string {
	var sentences []string
	for _, step := range p.Steps {
		if step.Do != plan.DoDelete || schemas[step.Provider].Existing {
			continue
		}
		for _, item := range step.Items {
			a := item.Mark.Address
			docker, ok := have.Records[resource.DockerOn(a.Name, a.Index)]
			if a.Kind() != resource.KindServer || !ok || docker.Mark.Generation != item.Mark.Generation || docker.Facts.Host == nil {
				continue
			}
			stacks := map[string]int{}
			for _, n := range docker.Facts.Host.Neighbours {
				if n.Stack != "" {
					stacks[n.Stack.Name()]++
				}
			}
			for _, name := range slices.Sorted(maps.Keys(stacks)) {
				sentences = append(sentences, fmt.Sprintf("%s: stack %s has %s there", a, name, howMany(stacks[name], "container")))
			}
		}
	}
	return sentences
}

func howMany(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkPorts looks whether a fixed host port that a release wants is another's already, before
// anything is changed.
func (s *Session) checkPorts(ctx context.Context, p *plan.Plan, have plan.Have) error {
	var errs []error
	known := map[resource.Address][]resource.Neighbour{}
	for _, step := range p.Steps {
		if step.Do != plan.DoCreate && step.Do != plan.DoUpdate {
			continue
		}
		for _, item := range step.Items {
			spec, ok := item.Spec.(*resource.ReleaseSpec)
			if !ok {
				continue
			}
			document, err := template.Decode(p.Releases[spec.Release].Document)
			if err != nil || !publishes(document, spec.Server.Index) {
				continue
			}
			neighbours, asked := known[spec.Server]
			if !asked {
				if neighbours, err = s.neighbours(ctx, p, have, spec.Server, item.Mark.Generation); err != nil {
					errs = append(errs, fmt.Errorf("%s: what others have there: %w", spec.Server, err))
				}
				known[spec.Server] = neighbours
			}
			errs = append(errs, taken(item.Mark.Address, document, spec.Server.Index, neighbours)...)
		}
	}
	if len(errs) > 0 {
		return &PreflightError{errs}
	}
	return nil
}

func publishes(r *template.Release, server int) bool {
	for _, service := range r.Services {
		if service.OnServer(server) && slices.ContainsFunc(service.Ports, template.Port.Fixed) {
			return true
		}
	}
	return false
}

// neighbours tells what others have on a server: by what was found there, or, on a machine that is
// only to be taken, by asking it. A server that a cloud is to make has none.
func (s *Session) neighbours(ctx context.Context, p *plan.Plan, have plan.Have, a resource.Address, generation int) ([]resource.Neighbour, error) {
	docker, ok := have.Records[resource.DockerOn(a.Name, a.Index)]
	if ok && docker.Mark.Generation == generation && docker.Facts.Host != nil {
		return docker.Facts.Host.Neighbours, nil
	}
	driver := s.driver()
	access, provider := accessOf(p, have, a, generation)
	if driver == nil || access == nil {
		return nil, nil
	}
	found := resource.Found{Mark: resource.Mark{Stack: s.id, Address: a, Generation: generation}, Provider: provider, Facts: resource.Facts{Access: access}}
	return driver.Neighbours(ctx, found)
}

// accessOf is how a machine is reached that is a server already, or is to be one.
func accessOf(p *plan.Plan, have plan.Have, a resource.Address, generation int) (*resource.Access, string) {
	for _, step := range p.Steps {
		for _, item := range step.Items {
			if spec, ok := item.Spec.(*resource.ServerSpec); ok && item.Mark.Address == a && step.Do == plan.DoCreate {
				return spec.Access, step.Provider
			}
		}
	}
	if server, ok := have.Records[a]; ok && server.Mark.Generation == generation {
		return server.Facts.Access, server.Provider
	}
	return nil, ""
}

// taken lists the fixed ports of a release that somebody else has.
func taken(a resource.Address, r *template.Release, server int, neighbours []resource.Neighbour) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		service := r.Services[name]
		if !service.OnServer(server) {
			continue
		}
		for _, port := range service.Ports {
			if !port.Fixed() {
				continue
			}
			i := slices.IndexFunc(neighbours, func(n resource.Neighbour) bool {
				return slices.ContainsFunc(n.Ports, func(held string) bool { return collides(port, held) })
			})
			if i < 0 {
				continue
			}
			who := "container " + neighbours[i].Container
			if neighbours[i].Process != "" {
				who = "process " + neighbours[i].Process
			}
			if stack := neighbours[i].Stack.Name(); stack != "" {
				who += " of stack " + stack
			}
			errs = append(errs, resource.WithHint(fmt.Errorf("%s: service %s wants port %d/%s of the server, and %s has it", a, name, port.Published, or(port.Protocol, "tcp"), who),
				"publish another port, or none and let the proxy of that stack send to it (docs/hosts.md)"))
		}
	}
	return errs
}

// collides reports whether a port that is wanted is one that is held, as a Neighbour has it: the same
// at the same address, or at all addresses of either.
func collides(want template.Port, held string) bool {
	address, rest := "", held
	if host, port, err := net.SplitHostPort(held); err == nil {
		address, rest = host, port
	}
	number, protocol, _ := strings.Cut(rest, "/")
	if number != strconv.Itoa(want.Published) || protocol != or(want.Protocol, "tcp") {
		return false
	}
	ip, err := netip.ParseAddr(want.HostIP)
	return address == "" || err != nil || ip.IsUnspecified() || ip.Unmap().String() == address
}

// Allowed refuses a plan that deletes servers on which others live, unless that was said.
func (s *Session) Allowed(p *plan.Plan) error {
	if len(p.Others) == 0 || s.options.WithOthers {
		return nil
	}
	return &OthersError{p.Others}
}
