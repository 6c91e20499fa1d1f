package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
)

// Backed is what became of one backup in one target.
type Backed struct {
	Block  string        `json:"block"`
	Target string        `json:"target"`
	Name   string        `json:"name,omitempty"`
	Size   int64         `json:"size,omitempty"` // of the data, in bytes
	Took   time.Duration `json:"-"`
	How    string        `json:"how,omitempty"`    // it was proven
	Pruned []string      `json:"pruned,omitempty"` // names of what keep does not keep any more
	Err    error         `json:"-"`
}

// blocksNamed are the backup blocks of these names, or all.
func (s *Session) blocksNamed(names []string) ([]*stack.Backup, error) {
	if len(s.stack.Backups) == 0 {
		return nil, resource.WithHint(errors.New("the stack file has no backup block"), `write one: backup "database" { ... }`)
	}
	if len(names) == 0 {
		return s.stack.Backups, nil
	}
	var blocks []*stack.Backup
	for _, name := range names {
		b := s.stack.Backup(name)
		if b == nil {
			var all []string
			for _, b := range s.stack.Backups {
				all = append(all, b.Name)
			}
			return nil, fmt.Errorf("the stack file has no backup %q: it has %s", name, strings.Join(all, ", "))
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// holder is the server that has the data of a backup block: the first of its group, or of the live
// one of its pair, that runs the service.
func (s *Session) holder(ctx context.Context, b *stack.Backup) (Server, error) {
	group := b.Group
	if g := s.stack.Group(group); g != nil && g.Twin != "" {
		if live := s.Memory().Intent.Live[g.Balancer]; live == g.Twin {
			group = live
		}
	}
	servers, err := s.Servers(ctx, group)
	if err != nil {
		return Server{}, err
	}
	records := s.Memory().Records
	i := slices.IndexFunc(servers, func(server Server) bool { return runsService(records, server.Mark.Address, b.Service) })
	if i < 0 {
		return Server{}, resource.WithHint(fmt.Errorf("no server of group %s is known to run service %q", group, b.Service), "'cloudship status' lists what runs where")
	}
	return servers[i], nil
}

// runsService reports whether a server is known to run a service; any where none is named.
func runsService(records map[resource.Address]resource.Record, server resource.Address, service string) bool {
	return service == "" || slices.ContainsFunc(records[resource.ReleaseOn(server.Name, server.Index)].Facts.Containers,
		func(c resource.Container) bool { return c.Service == service })
}

// hold connects to the data of a backup block.
func (s *Session) hold(ctx context.Context, b *stack.Backup) (*deploy.Holding, Server, error) {
	server, err := s.holder(ctx, b)
	if err != nil {
		return nil, server, fmt.Errorf("backup %s: %w", b.Name, err)
	}
	h, err := s.holdOn(ctx, b, server)
	return h, server, err
}

func (s *Session) holdOn(ctx context.Context, b *stack.Backup, server Server) (*deploy.Holding, error) {
	data := deploy.Data{Kind: b.Kind, Service: b.Service, Volume: b.Volume, Path: b.Path, Database: b.Database, User: b.User, Check: b.Check, Stage: b.Stage}
	h, err := s.driver().Hold(ctx, server.Found, server.Enrolled, s.secretValues(), data, func(line string) { s.say("%s: %s", server.Mark.Address, line) })
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", b.Name, err)
	}
	return h, nil
}

// Backup makes a backup of every block that is named, or of all, in all of their targets, or the one
// that is named. The source is read once. Each that was made, or not, is told. What the lock guards
// is not changed: a rollout that is half-way is waited for, and one that begins meanwhile may let the
// backup fail, never the rollout.
func (s *Session) Backup(ctx context.Context, names []string, to string, tell func(Backed)) error {
	blocks, err := s.blocksNamed(names)
	if err != nil {
		return err
	}
	if s.id == "" {
		return ErrNothing
	}
	if err := s.openAccess(ctx); err != nil {
		return err
	}
	var errs []error
	for _, b := range blocks {
		if err := s.backUp(ctx, b, to, tell); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *Session) backUp(ctx context.Context, b *stack.Backup, to string, tell func(Backed)) error {
	begun := time.Now()
	pattern, err := backup.ParsePattern(b.Pattern)
	if err != nil {
		return fmt.Errorf("%s: backup %s: %w", b.Place, b.Name, err)
	}
	stores, err := s.vaults(ctx, b, to, begun)
	if err != nil {
		return err
	}
	defer closeVaults(stores)
	h, server, err := s.hold(ctx, b)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	defer s.busy("backing up " + b.Name)()
	draft := backup.Draft{
		Of: b.Name, Pattern: pattern, Release: h.Release(),
		Source: backup.Source{Kind: b.Kind, Service: b.Service, Volume: b.Volume, Path: b.Path, Server: server.Mark.Address.String()},
	}
	all, source := writeAll(ctx, stores, draft, h.Save)
	if source != nil {
		return fmt.Errorf("backup %s: read the data on %s: %w", b.Name, server.Mark.Address, source)
	}
	var errs []error
	for i, w := range all {
		one := Backed{Block: b.Name, Target: stores[i].name, Name: w.record.Name, Size: w.record.Plain.Size, Took: time.Since(begun), Err: w.err}
		if w.err != nil {
			errs = append(errs, fmt.Errorf("backup %s: target %s: %w", b.Name, stores[i].name, w.err))
		} else if one.Pruned, err = s.pruneAfter(ctx, b, stores[i]); err != nil {
			errs = append(errs, err)
		}
		tell(one)
	}
	return errors.Join(errs...)
}

func keepOf(b *stack.Backup) backup.Keep {
	if b.Keep == nil {
		return backup.Keep{}
	}
	return backup.Keep{Last: b.Keep.Last, Daily: b.Keep.Daily, Weekly: b.Keep.Weekly, Monthly: b.Keep.Monthly}
}

// pruneAfter prunes a target in which a backup was just made.
func (s *Session) pruneAfter(ctx context.Context, b *stack.Backup, store vault) ([]string, error) {
	if b.Keep == nil {
		return nil, nil
	}
	pruned, err := store.Prune(ctx, b.Name, keepOf(b))
	var names []string
	for _, r := range pruned.Dropped {
		names = append(names, r.Name)
	}
	if err != nil {
		err = fmt.Errorf("backup %s: prune target %s: %w", b.Name, store.name, err)
	}
	return names, err
}
