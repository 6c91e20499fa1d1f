package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/e2e/load"
)

// updates is how often the story's application is renewed under load.
const updates = 20

// backups is how many are made under writes.
const backups = 5

// site is the name that the example's proxy answers to.
const site = "fantasyreality.example.com"

// fantasyreality is the story of one small droplet: updates in place that cost no request, one that
// is refused, and a server that is lost and comes back with its data.
func fantasyreality(ctx context.Context, d *demonstration) error {
	title("a lab: the cloud's API on loopback, and a bare server with 512 MB when somebody asks for it")
	if err := d.Up(ctx, "containers"); err != nil {
		return err
	}
	s := &season{demonstration: d, acknowledged: map[string]bool{}}
	if err := s.Initialize(ctx, s.Dir); err != nil {
		return err
	}
	title("up from nothing")
	if err := d.ship(ctx, "apply", "-y", "--new-key"); err != nil {
		return err
	}
	if err := s.underLoad(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.updates, s.refused, s.saved, s.lost} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.load.Stop()
	if err := d.unfailed(); err != nil {
		return err
	}
	title("destroying everything, the data by its name")
	return d.ship(ctx, "destroy", "-y", "--destroy-data", "data")
}

// season is the story's site as it is worked on.
type season struct {
	*demonstration
	kept *load.Kept

	mu           sync.Mutex
	acknowledged map[string]bool // picks that the site has answered for
}

// picks are those that the site has answered for so far.
func (s *season) picks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.acknowledged))
}

// address is where the server answers.
func (s *season) address(ctx context.Context) (string, error) {
	out := s.Run(ctx, "output", "address")
	return strings.TrimSpace(out.Stdout) + ":80", out.Err
}

// underLoad sends requests to the server from now on, over connections that are kept. Every tenth
// writes a pick.
func (s *season) underLoad(ctx context.Context) error {
	address, err := s.address(ctx)
	if err != nil {
		return err
	}
	pick := func(n int) string { return fmt.Sprintf("pick-%06d", n) }
	next := func(n int) (*http.Request, error) {
		if n%10 == 0 {
			return http.NewRequest(http.MethodPost, "http://"+site+"/picks/"+pick(n), nil)
		}
		return http.NewRequest(http.MethodGet, "http://"+site+"/", nil)
	}
	answered := func(n int) {
		if n%10 == 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.acknowledged[pick(n)] = true
		}
	}
	s.kept = load.StartKept(address, s.rate, 20, next, answered)
	s.load = s.kept
	return s.sees(ctx, "v1")
}

// write makes the application another version, and commits it.
func (s *season) write(ctx context.Context, version string) error {
	if err := os.WriteFile(filepath.Join(s.Dir, "app", "VERSION"), []byte(version+"\n"), 0o644); err != nil {
		return err
	}
	return s.Commit(ctx, s.Dir, version)
}

// updates renews the application in place, again and again.
func (s *season) updates(ctx context.Context) error {
	for i := range updates {
		version := fmt.Sprintf("v%d", i+2)
		title("%s: update %d of %d", version, i+1, updates)
		if err := s.write(ctx, version); err != nil {
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
	if err := s.write(ctx, "broken"); err != nil {
		return err
	}
	if err := s.shipTo(ctx, 9, "apply", "-y"); err != nil {
		return err
	}
	return s.sees(ctx, fmt.Sprintf("v%d", updates+1))
}

// saved makes backups while picks are written, and proves the newest.
func (s *season) saved(ctx context.Context) error {
	title("backups while picks are written, one after the other")
	for range backups {
		if err := s.ship(ctx, "backup", "create"); err != nil {
			return err
		}
	}
	title("the newest is restored into a scratch place and checked")
	return s.ship(ctx, "backup", "verify", "latest")
}

// lost is what everybody fears: the server is gone, with its disk. What a backup held is back with
// one command.
func (s *season) lost(ctx context.Context) error {
	held := s.picks()
	title("the last backup; %d picks were acknowledged before it began", len(held))
	if err := s.ship(ctx, "backup", "create"); err != nil {
		return err
	}
	s.kept.Pause() // nobody answers for a server that is gone
	title("the server is destroyed, in the cloud, behind our back")
	if err := s.destroyServer(ctx); err != nil {
		return err
	}
	title("a new server, and the newest backup on it")
	began := time.Now()
	if err := s.write(ctx, "v99"); err != nil { // the release that was refused is not tried again
		return err
	}
	if err := s.ship(ctx, "apply", "-y", "--restore", "latest"); err != nil {
		return err
	}
	took := time.Since(began)
	address, err := s.address(ctx)
	if err != nil {
		return err
	}
	if err := s.wants(ctx, address, held); err != nil {
		return err
	}
	title("%d of %d picks that the backup had to hold are back after %.0f s", len(held), len(held), took.Seconds())
	s.kept.Move(address)
	s.kept.Resume()
	return s.sees(ctx, "v99")
}

// wants asks the site for its picks, and wants those that are named among them.
func (s *season) wants(ctx context.Context, address string, names []string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/picks", nil)
	if err != nil {
		return err
	}
	request.Host = site
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for the picks: %s: %w", answer.Status, err)
	}
	have := strings.Fields(string(body))
	var missing []string
	for _, name := range names {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 || len(names) == 0 {
		return fmt.Errorf("%d of %d picks are missing after the restore: %v", len(missing), len(names), missing)
	}
	return nil
}
