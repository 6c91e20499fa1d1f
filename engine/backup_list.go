package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
)

// Kept is what one target has of a backup block.
type Kept struct {
	Block   string          `json:"block"`
	Target  string          `json:"target"`
	Place   string          `json:"place,omitempty"`
	Backups []backup.Backup `json:"-"` // the newest first
	Damaged []error         `json:"-"`
	Unknown string          `json:"unknown,omitempty"` // why it could not be asked
}

// askPatience is how long a target may take to answer what it has.
const askPatience = time.Minute

// Backups lists what the targets of the named blocks have, or of all; a target that does not answer
// says why. Nothing is asked of servers or clouds.
func (s *Session) Backups(ctx context.Context, names []string, from string) ([]Kept, error) {
	blocks, err := s.blocksNamed(names)
	if err != nil {
		return nil, err
	}
	var all []Kept
	for _, b := range blocks {
		for _, t := range b.Targets {
			if from == "" || from == t.Name {
				all = append(all, Kept{Block: b.Name, Target: t.Name})
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no backup has a target %q", from)
	}
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { s.askTarget(ctx, s.stack.Backup(all[i].Block), &all[i]) })
	}
	group.Wait()
	return all, ctx.Err()
}

// askTarget asks one target.
func (s *Session) askTarget(ctx context.Context, b *stack.Backup, k *Kept) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	stores, err := s.vaults(ctx, b, k.Target, time.Time{})
	if err != nil {
		k.Unknown = err.Error()
		return
	}
	defer closeVaults(stores)
	k.Place = stores[0].Target().String()
	listing, err := stores[0].List(ctx, b.Name)
	if err != nil {
		k.Unknown = err.Error()
		return
	}
	k.Backups, k.Damaged = listing.Backups, listing.Damaged
}

// choice is a backup that was meant, and the target that it is read from.
type choice struct {
	block *stack.Backup
	vault
	backup.Backup
}

// find finds the backup that a name means: of the block that is named, of the one before the slash
// in OF/NAME, of the only one that there is, or of whichever has it. Of several targets that have it
// the first is taken, or for latest the one with the newest. The target is to be closed.
func (s *Session) find(ctx context.Context, name, block, from string) (choice, error) {
	if before, after, ok := strings.Cut(name, "/"); ok && block == "" {
		block, name = before, after
	}
	var names []string
	if block != "" {
		names = []string{block}
	}
	blocks, err := s.blocksNamed(names)
	if err != nil {
		return choice{}, err
	}
	if len(blocks) > 1 && name == backup.Latest {
		return choice{}, resource.WithHint(fmt.Errorf("the stack file has %d backup blocks", len(blocks)), "say which: "+blocks[0].Name+"/latest")
	}
	var found []choice
	var absent error
	for _, b := range blocks {
		list, err := s.candidatesIn(ctx, b, name, from)
		var which *backup.FindError
		several := errors.As(err, &which) && len(which.Several) > 0
		if errors.Is(err, backup.ErrAbsent) && !errors.Is(err, backup.ErrUnreachable) && !several {
			absent = err
			continue
		}
		if err != nil {
			closeChoices(found)
			return choice{}, err
		}
		found = append(found, list...)
	}
	if len(found) == 0 {
		return choice{}, resource.WithHint(absent, "'cloudship backup list' names those that there are")
	}
	return pick(found, name)
}

// pick takes one of what was found and closes the others.
func pick(found []choice, name string) (choice, error) {
	best := 0
	for i, c := range found {
		if c.Of != found[best].Of || name != backup.Latest && c.Name != found[best].Name {
			closeChoices(found)
			return choice{}, fmt.Errorf("%s may be %s or %s", name, found[best].Record, c.Record)
		}
		if name == backup.Latest && c.Created.After(found[best].Created) {
			best = i
		}
	}
	chosen := found[best]
	closeChoices(slices.Delete(slices.Clone(found), best, best+1))
	return chosen, nil
}

func closeChoices(list []choice) {
	for _, c := range list {
		c.vault.close()
	}
}

// candidatesIn looks in the targets of one block. One that cannot be asked is passed over with a
// warning where another has it; one that has it damaged is not.
func (s *Session) candidatesIn(ctx context.Context, b *stack.Backup, name, from string) ([]choice, error) {
	var found []choice
	var errs []error
	for _, t := range b.Targets {
		if from != "" && from != t.Name {
			continue
		}
		stores, err := s.vaults(ctx, b, t.Name, time.Time{})
		if err == nil {
			var one backup.Backup
			if one, err = stores[0].Find(ctx, b.Name, name); err == nil {
				found = append(found, choice{b, stores[0], one})
				continue
			}
			closeVaults(stores)
		}
		var which *backup.FindError
		if errors.As(err, &which) && len(which.Several) > 0 {
			closeChoices(found)
			return nil, err
		}
		if errors.Is(err, backup.ErrCorrupted) || errors.Is(err, backup.ErrNewer) {
			closeChoices(found)
			return nil, resource.WithHint(fmt.Errorf("target %s: %w", t.Name, err), "use another backup, or the copy in another target: --from TARGET")
		}
		errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
	}
	switch {
	case len(found) == 0 && len(errs) == 0:
		_, err := s.vaults(ctx, b, from, time.Time{})
		return nil, err
	case len(found) == 0:
		return nil, errors.Join(errs...)
	}
	for _, err := range errs {
		if !errors.Is(err, backup.ErrAbsent) {
			s.warn("backup %s: %v; another target has it", b.Name, err)
		}
	}
	return found, nil
}
