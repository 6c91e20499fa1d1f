package engine

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/certificate"
	"github.com/cloudship/cloudship/deploy/paper"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// account is what the key of the stack's account at a CA is made of: the same for as long as the
// sealing key lives, so that no state can lose it.
func (s *Session) account(directory string) []byte {
	return s.key.Derive("acme|"+string(s.id)+"|"+directory, certificate.SeedSize)
}

// CertificateStatus is one certificate of the stack.
type CertificateStatus struct {
	Name    string                     `json:"name"`
	Server  resource.Address           `json:"server"`
	Domains []string                   `json:"domains"`
	Path    string                     `json:"path"`
	Facts   *resource.CertificateFacts `json:"facts,omitempty"`   // none where it was never got
	Left    int                        `json:"days_left"`         // whole days until its end
	Broken  string                     `json:"broken,omitempty"`  // what an apply would mend
	Unknown string                     `json:"unknown,omitempty"` // why it could not be asked
}

// Certificates asks the servers how the stack's certificates do.
func (s *Session) Certificates(ctx context.Context) ([]CertificateStatus, error) {
	have, err := s.refresh(ctx)
	if err != nil {
		return nil, err
	}
	var list []CertificateStatus
	now := time.Now()
	for _, c := range s.stack.Certificates {
		a := resource.CertificateNamed(c.Name)
		record := have.Records[a]
		one := CertificateStatus{Name: c.Name, Server: resource.Server(c.Group, 0), Domains: c.Domains, Path: c.Path + "/" + c.Name, Facts: record.Facts.Certificate, Broken: record.Broken, Unknown: have.Unknown[a]}
		switch {
		case one.Facts != nil:
			one.Left = int(one.Facts.NotAfter.Sub(now) / (24 * time.Hour))
		case one.Unknown == "" && one.Broken == "":
			one.Broken = "it was not got yet"
		}
		list = append(list, one)
	}
	return list, nil
}

// renewing marks the certificates that a request wants renewed, due or not.
func renewing(r Request, wants []plan.Want, have plan.Have, now time.Time) {
	if !r.Force {
		return
	}
	for _, w := range wants {
		spec, ok := w.Spec.(*resource.CertificateSpec)
		if record, there := have.Records[w.Address]; ok && there && !record.Announced && slices.Contains(r.Targets, w.Address) {
			spec.After = now
			record.Broken = "renewed by --force"
			have.Records[w.Address] = record
		}
	}
}

// checkCertificates holds the certificate blocks against the release that is to serve them.
func (s *Session) checkCertificates(candidates map[string]resource.ReleaseEntry) error {
	for _, c := range s.stack.Certificates {
		entry, ok := candidates[s.stack.Group(c.Group).Template]
		if !ok {
			continue
		}
		release, err := template.Decode(entry.Document)
		if err != nil {
			return err
		}
		service, ok := release.Services[c.Service]
		if !ok {
			return resource.WithHint(fmt.Errorf("%s: certificate %s: the template has no service %q", c.Place, c.Name, c.Service),
				fmt.Sprintf("service names the proxy; there are %q", slices.Sorted(maps.Keys(release.Services))))
		}
		if c.Hook != "" && !slices.ContainsFunc(service.Hooks, func(h template.Hook) bool { return h.Name == c.Hook }) {
			return resource.WithHint(fmt.Errorf("%s: certificate %s: service %s has no hook %q", c.Place, c.Name, c.Service, c.Hook),
				"give the hook this name in x-cloudship, or leave hook out: then the service gets SIGHUP")
		}
	}
	return nil
}

// lookupPatience is how long names are looked up while planning.
const lookupPatience = 4 * time.Second

// noteNames tells which names of certificates that are got do not lead to their server, as far as is
// seen from here. It is no error: the CA may see other names than we do.
func (s *Session) noteNames(ctx context.Context, p *plan.Plan, have plan.Have) {
	if url, _ := s.lookupEnv(paper.Variable); url != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	for _, step := range p.Steps {
		if step.Do != plan.DoCreate && step.Do != plan.DoUpdate {
			continue
		}
		for _, item := range step.Items {
			if spec, ok := item.Spec.(*resource.CertificateSpec); ok {
				p.Notes = append(p.Notes, namesAstray(ctx, item.Mark.Address, spec.Domains, have.Records[spec.Server].Facts.PublicIP)...)
			}
		}
	}
}

// namesAstray says of each domain where it leads to, unless that is the server.
func namesAstray(ctx context.Context, a resource.Address, domains []string, server string) []string {
	notes := make([]string, len(domains))
	var wait sync.WaitGroup
	for i, domain := range domains {
		wait.Go(func() {
			found, err := net.DefaultResolver.LookupHost(ctx, domain)
			switch {
			case server == "":
				notes[i] = fmt.Sprintf("%s: its server has no address yet; %s must lead to it before the CA looks", a, domain)
			case err != nil:
				notes[i] = fmt.Sprintf("%s: %s is not found in the DNS from here; it must lead to %s before the CA looks", a, domain, server)
			case !slices.Contains(found, server):
				notes[i] = fmt.Sprintf("%s: %s leads to %s from here, and its server is %s", a, domain, strings.Join(found, ", "), server)
			}
		})
	}
	wait.Wait()
	return slices.DeleteFunc(notes, func(note string) bool { return note == "" })
}
