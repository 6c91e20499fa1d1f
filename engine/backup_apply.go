package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
)

// PlanRestores decides what `apply --restore` restores once the plan is done: "latest" is the newest
// backup of every block, "BLOCK=NAME" one of one, "none" forgets what an earlier apply has left to be
// restored. Only servers that this plan makes are restored onto. What it gives, in sentences, is what
// will be done, with what an earlier apply, which was cut short, has left to do. It is remembered
// before the plan's first call.
func (s *Session) PlanRestores(ctx context.Context, p *plan.Plan, wanted []string) ([]string, error) {
	if p.Destroy {
		s.memory.Restores = nil
		return nil, nil
	}
	memory := s.Memory()
	pending := maps.Clone(memory.Restores)
	if pending == nil {
		pending = map[string]resource.Restore{}
	}
	if slices.Contains(wanted, "none") {
		clear(pending)
	}
	names, err := s.restoreNames(wanted)
	if err != nil {
		return nil, err
	}
	for _, block := range slices.Sorted(maps.Keys(names)) {
		b := s.stack.Backup(block)
		fresh := newServers(p, b, s.liveOf(b, p.Intent))
		if len(fresh) == 0 {
			if _, waits := pending[block]; !waits {
				s.say("backup %s: no server of it is new: nothing is restored", block)
			}
			continue
		}
		if s.driver() == nil {
			return nil, fmt.Errorf("--restore: %w", errOnPaper)
		}
		c, err := s.find(ctx, names[block], block, "")
		if err != nil {
			return nil, fmt.Errorf("%w: --restore: %w", ErrPreflight, err)
		}
		c.vault.close()
		pending[block] = resource.Restore{Backup: c.Name, Target: c.vault.name, Servers: fresh, Since: time.Now().UTC()}
	}
	s.memory.Restores = pending
	var texts []string
	for _, block := range slices.Sorted(maps.Keys(pending)) {
		r := pending[block]
		var servers []string
		for _, a := range r.Servers {
			servers = append(servers, a.String())
		}
		texts = append(texts, fmt.Sprintf("then backup %s/%s from %s is restored onto %s, which is new", block, r.Backup, r.Target, strings.Join(servers, " or ")))
	}
	return texts, nil
}

// restoreNames reads what --restore was told: block to name.
func (s *Session) restoreNames(wanted []string) (map[string]string, error) {
	names := map[string]string{}
	for _, text := range wanted {
		block, name, ok := strings.Cut(text, "=")
		switch {
		case text == "none":
		case text == backup.Latest:
			blocks, err := s.blocksNamed(nil)
			if err != nil {
				return nil, err
			}
			for _, b := range blocks {
				if names[b.Name] == "" {
					names[b.Name] = backup.Latest
				}
			}
		case ok && name != "":
			if _, err := s.blocksNamed([]string{block}); err != nil {
				return nil, err
			}
			names[block] = name
		default:
			return nil, fmt.Errorf("--restore %q: want latest, BLOCK=NAME, or none", text)
		}
	}
	return names, nil
}

// liveOf is the group that has the data of a backup block, by an intent.
func (s *Session) liveOf(b *stack.Backup, intent resource.Intent) string {
	if g := s.stack.Group(b.Group); g != nil && g.Twin != "" && intent.Live[g.Balancer] == g.Twin {
		return g.Twin
	}
	return b.Group
}

// newServers lists the servers of a group that a plan makes.
func newServers(p *plan.Plan, b *stack.Backup, group string) []resource.Address {
	var list []resource.Address
	for _, step := range p.Steps {
		for _, item := range step.Items {
			a := item.Mark.Address
			if step.Do == plan.DoCreate && a.Kind() == resource.KindServer && a.Name == group && !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// Restores does what is left to be restored onto servers that are new. Each is forgotten once it is
// done; the server itself notes it too, so that nothing is restored twice. It holds the lock.
func (s *Session) Restores(ctx context.Context, tell func(Restored)) error {
	pending := s.Memory().Restores
	if len(pending) == 0 {
		return nil
	}
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if err := s.openAccess(ctx); err != nil {
		return err
	}
	var errs []error
	for _, block := range slices.Sorted(maps.Keys(pending)) {
		if err := s.restorePending(ctx, block, pending[block], tell); err != nil {
			errs = append(errs, resource.WithHint(err, "'cloudship apply' tries it again, 'cloudship apply --restore none' does without"))
		}
	}
	return errors.Join(errs...)
}

func (s *Session) restorePending(ctx context.Context, block string, r resource.Restore, tell func(Restored)) error {
	b := s.stack.Backup(block)
	if b == nil {
		s.warn("backup %s is not in the stack file any more: nothing is restored", block)
		return s.forgetRestore(ctx, block)
	}
	server, err := s.holder(ctx, b)
	if err != nil {
		return fmt.Errorf("backup %s: %w", block, err)
	}
	if !slices.Contains(r.Servers, server.Mark.Address) {
		s.say("backup %s: its data is on %s, which is not new: nothing is restored", block, server.Mark.Address)
		return s.forgetRestore(ctx, block)
	}
	done, err := s.driver().RestoredBefore(ctx, server.Found, server.Enrolled, block)
	if err != nil {
		return fmt.Errorf("backup %s: %w", block, err)
	}
	if done == r.Backup {
		return s.forgetRestore(ctx, block)
	}
	c, err := s.find(ctx, r.Backup, block, r.Target)
	if err != nil {
		return err
	}
	defer c.vault.close()
	what, err := s.restore(ctx, c, server)
	if err != nil {
		return err
	}
	if err := s.driver().NoteRestored(ctx, server.Found, server.Enrolled, block, r.Backup); err != nil {
		return fmt.Errorf("backup %s: note on %s that it is restored: %w", block, server.Mark.Address, err)
	}
	tell(what)
	return s.forgetRestore(ctx, block)
}

// forgetRestore takes what is done off the list, and commits that.
func (s *Session) forgetRestore(ctx context.Context, block string) error {
	if s.ledger == nil {
		s.ledger = plan.NewLedger(s.memory, plan.Have{Records: s.memory.Records, Extra: s.memory.Extra}, state.DefaultActor())
		if err := s.lease.Use(string(s.id), s.key); err != nil {
			return err
		}
	}
	s.ledger.Edit(func(m *resource.Memory) { delete(m.Restores, block) })
	if err := s.lease.CommitClosing(ctx, s.source("")); err != nil {
		return fmt.Errorf("commit to the state: %w", err)
	}
	s.head = s.lease.Head()
	return nil
}
