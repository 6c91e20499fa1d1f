package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// ports are those of services whose URL names none.
var ports = map[string]string{
	"mongodb": "27017", "redis": "6379", "rediss": "6379", "postgres": "5432", "postgresql": "5432", "mysql": "3306",
	"amqp": "5672", "amqps": "5671", "http": "80", "https": "443", "memcached": "11211", "nats": "4222",
	"smtp": "25", "smtps": "465", "ldap": "389", "ldaps": "636",
}

// externals gives the host and port of every external block.
func (s *Session) externals() (map[string]string, error) {
	found := map[string]string{}
	for _, e := range s.stack.Externals {
		u, err := url.Parse(e.URL.Text)
		if err != nil || u.Hostname() == "" {
			return nil, resource.WithHint(fmt.Errorf("%s: external %s: its url names no host", e.Place, e.Name), `want SCHEME://HOST:PORT, as in "redis://cache.example.com:6379"`)
		}
		port := or(u.Port(), ports[u.Scheme])
		if port == "" {
			return nil, resource.WithHint(fmt.Errorf("%s: external %s: the port of %s is not known", e.Place, e.Name, u.Scheme), "say it in the url")
		}
		found[e.Name] = net.JoinHostPort(u.Hostname(), port)
	}
	return found, nil
}

// checkExternals tries the external services from the servers that are there, before anything is
// changed. A server that is only just made tries them before its release starts.
func (s *Session) checkExternals(ctx context.Context, p *plan.Plan, have plan.Have) error {
	driver, real := s.hosts.(*deploy.Driver)
	if len(s.stack.Externals) == 0 || p.Destroy || !real {
		return nil
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, step := range p.Steps {
		for _, item := range step.Items {
			a := item.Mark.Address
			docker := have.Records[resource.DockerOn(a.Name, a.Index)]
			server, ok := have.Records[resource.Server(a.Name, a.Index)]
			if a.Kind() != resource.KindRelease || !ok || !docker.Facts.Enrolled && server.Facts.Access == nil || item.Mark.Generation != server.Mark.Generation {
				continue
			}
			wg.Go(func() {
				if err := driver.Reachable(ctx, server.Found); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
	}
	wg.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrPreflight, errors.Join(errs...))
	}
	return nil
}
