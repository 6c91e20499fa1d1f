package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// drain makes the old group's health path fail while it still serves, and waits until the balancer
// has seen that. Without a drain in the template there is nothing to wait for.
func (d *routes) drain(ctx context.Context, s *switching) error {
	p, err := d.startProbing(ctx, s)
	if err != nil {
		return err
	}
	p.forgive()
	drained, err := d.onGroup(ctx, s, s.old, func(ctx context.Context, r *rollout, service string, drain *template.Drain, id string) error {
		return r.hook(ctx, service, id, *drain.Start)
	})
	if err != nil {
		return fmt.Errorf("draining %s: %w", s.oldGroup, err)
	}
	if !drained {
		return p.worse()
	}
	wait := time.Duration(max(s.check.Unhealthy, 1)*max(s.check.Interval, 1)+max(s.check.Timeout, 1))*time.Second + time.Second
	s.say("%s drains: its health path fails, it still serves; waiting %s for the balancer to notice", s.oldGroup, wait)
	return p.during(ctx, wait, p.worse)
}

// undrain ends draining on servers, wherever it was begun.
func (d *routes) undrain(ctx context.Context, s *switching, servers []resource.Found) error {
	_, err := d.onGroup(ctx, s, servers, func(ctx context.Context, r *rollout, service string, drain *template.Drain, id string) error {
		if drain.Stop == nil {
			return nil
		}
		return r.hook(ctx, service, id, *drain.Stop)
	})
	return err
}

// onGroup does something for every container that can be drained, on all servers at once. It
// reports whether there was any.
func (d *routes) onGroup(ctx context.Context, s *switching, servers []resource.Found, do func(context.Context, *rollout, string, *template.Drain, string) error) (bool, error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		some bool
		errs []error
	)
	for _, server := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			any, err := d.onServer(ctx, s, server, do)
			mu.Lock()
			defer mu.Unlock()
			some = some || any
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", server.Mark.Address, err))
			}
		}()
	}
	wg.Wait()
	return some, errors.Join(errs...)
}

func (d *routes) onServer(ctx context.Context, s *switching, server resource.Found, do func(context.Context, *rollout, string, *template.Drain, string) error) (bool, error) {
	a := server.Mark.Address
	docker, managed := s.call.Peers[resource.DockerOn(a.Name, a.Index)]
	if !managed {
		return false, nil
	}
	host, err := d.hosts.Reach(ctx, server, docker.Facts.Enrolled, nil)
	if err != nil {
		return false, err
	}
	r, err := d.hosts.standing(ctx, host, server, s.call.Secrets, func(line string) { s.say("%s: %s", a, line) })
	if err != nil || r == nil {
		return false, err
	}
	defer func() { _ = r.engine.Close() }()
	some := false
	for _, name := range slices.Sorted(maps.Keys(r.release.Services)) {
		service := r.release.Services[name]
		if service.Drain == nil {
			continue
		}
		for _, one := range r.live[name] {
			some = true
			if err := do(ctx, r, name, service.Drain, one.id); err != nil {
				return some, err
			}
		}
	}
	return some, nil
}

// standing gives the release that runs on a server as a rollout that has nothing left to do: for
// hooks outside of rollouts. It is nil where none runs.
func (h *Hosts) standing(ctx context.Context, host *remote.Host, server resource.Found, secrets map[string]string, say func(string)) (*rollout, error) {
	e, err := h.engine(ctx, host)
	if err != nil {
		return nil, err
	}
	a := server.Mark.Address
	none := &rollout{
		engine: e.of(a.Name), folder: h.folder(host), group: a.Name, server: a, hostIP: or(server.Facts.PrivateIP, server.Facts.PublicIP),
		secrets: secrets, say: say, now: time.Now,
	}
	r, err := none.standing(ctx)
	if err != nil || r == nil {
		return nil, errors.Join(err, e.Close())
	}
	return r, nil
}
