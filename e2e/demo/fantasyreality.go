package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cloudship/cloudship/e2e/load"
)

// updates is how often the story's application is renewed under load.
const updates = 20

// site is the name that the example's proxy answers to.
const site = "fantasyreality.example.com"

// fantasyreality is the story of one small droplet: updates in place that cost no request, one that
// is refused, and a server that is lost and comes back with its data.
func fantasyreality(ctx context.Context, d *demonstration) error {
	title("a lab: the cloud's API on loopback, and a bare server with 512 MB when somebody asks for it")
	if err := d.Up(ctx, "containers"); err != nil {
		return err
	}
	s := &season{demonstration: d}
	title("up from nothing")
	if err := d.ship(ctx, "apply", "-y", "--new-key"); err != nil {
		return err
	}
	if err := s.underLoad(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.updates, s.refused} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.load.Stop()
	if err := d.unfailed(); err != nil {
		return err
	}
	title("destroying everything")
	return d.ship(ctx, "destroy", "-y", "--destroy-data", "data")
}

// season is the story's site as it is worked on.
type season struct {
	*demonstration
	picks picks
}

// picks are those that the site has acknowledged.
type picks struct {
	mu  sync.Mutex
	ids []string
}

// underLoad sends requests to the server from now on, over kept connections.
func (s *season) underLoad(ctx context.Context) error {
	out := s.Run(ctx, "output", "address")
	if out.Err != nil {
		return out.Err
	}
	address := strings.TrimSpace(out.Stdout) + ":80"
	s.load = load.StartKept(address, s.rate, 20, func(n int) (*http.Request, error) {
		if n%10 == 0 {
			return http.NewRequest(http.MethodPost, fmt.Sprintf("http://%s/picks/p%06d", site, n), nil)
		}
		return http.NewRequest(http.MethodGet, "http://"+site+"/", nil)
	})
	return s.sees(ctx, "v1")
}

// write makes the application another version.
func (s *season) write(version string) error {
	return os.WriteFile(filepath.Join(s.Dir, "app", "VERSION"), []byte(version+"\n"), 0o644)
}

// updates renews the application in place, again and again.
func (s *season) updates(ctx context.Context) error {
	for i := range updates {
		version := fmt.Sprintf("v%d", i+2)
		title("%s: update %d of %d", version, i+1, updates)
		if err := s.write(version); err != nil {
			return err
		}
		if err := s.ship(ctx, "apply", "-y"); err != nil {
			return err
		}
		s.switches++
		if err := s.sees(ctx, version); err != nil {
			return err
		}
	}
	return nil
}

// refused brings a version that never becomes healthy: what serves goes on serving.
func (s *season) refused(ctx context.Context) error {
	title("a version that never becomes healthy is refused")
	if err := s.write("broken"); err != nil {
		return err
	}
	if err := s.shipTo(ctx, 9, "apply", "-y"); err != nil {
		return err
	}
	return s.sees(ctx, fmt.Sprintf("v%d", updates+1))
}
