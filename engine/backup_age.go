package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/stack"
)

// BackupStatus is how old what one target has of a backup block is.
type BackupStatus struct {
	Block   string        `json:"block"`
	Target  string        `json:"target"`
	Newest  *DatedBackup  `json:"newest,omitempty"`
	Proven  *DatedBackup  `json:"proven,omitempty"` // the newest that was verified
	MaxAge  time.Duration `json:"max_age,omitempty"`
	Old     bool          `json:"old,omitempty"`     // the newest proven one is older than max_age
	Damaged int           `json:"damaged,omitempty"` // that cannot be used
	Unknown string        `json:"unknown,omitempty"` // why it could not be asked
}

// DatedBackup is a backup and the moment of its data.
type DatedBackup struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// String says it in a line.
func (b BackupStatus) String() string {
	if b.Unknown != "" {
		return "unknown: " + b.Unknown
	}
	if b.Newest == nil {
		return "none"
	}
	text := fmt.Sprintf("newest %s, %s old; ", b.Newest.Name, Age(time.Since(b.Newest.At)))
	switch {
	case b.Proven == nil:
		text += "none proven"
	case b.Proven.Name == b.Newest.Name:
		text += "proven"
	default:
		text += fmt.Sprintf("newest proven %s, %s old", b.Proven.Name, Age(time.Since(b.Proven.At)))
	}
	if b.Old {
		text += fmt.Sprintf(", max_age is %s", Age(b.MaxAge))
	}
	if b.Damaged > 0 {
		text += fmt.Sprintf("; %d damaged", b.Damaged)
	}
	return text
}

// glance is how long status and plan wait for a target.
const glance = 15 * time.Second

// backupStatus asks the targets of all blocks that are wanted.
func (s *Session) backupStatus(ctx context.Context, wanted func(*stack.Backup) bool) []BackupStatus {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	var all []BackupStatus
	for _, b := range s.stack.Backups {
		for _, t := range b.Targets {
			if wanted(b) {
				all = append(all, BackupStatus{Block: b.Name, Target: t.Name, MaxAge: b.MaxAge})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	defer s.busy("asking where the backups are")()
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			k := Kept{Block: all[i].Block, Target: all[i].Target}
			s.askTarget(ctx, s.stack.Backup(k.Block), &k)
			all[i].of(k, time.Now())
		})
	}
	group.Wait()
	return all
}

// of fills in what a target has.
func (b *BackupStatus) of(k Kept, now time.Time) {
	b.Unknown, b.Damaged = k.Unknown, len(k.Damaged)
	if len(k.Backups) > 0 {
		b.Newest = &DatedBackup{k.Backups[0].Name, k.Backups[0].Created}
	}
	if i := slices.IndexFunc(k.Backups, func(one backup.Backup) bool { return one.Proof != nil }); i >= 0 {
		b.Proven = &DatedBackup{k.Backups[i].Name, k.Backups[i].Created}
	}
	b.Old = b.Unknown == "" && b.MaxAge > 0 && (b.Proven == nil || now.Sub(b.Proven.At) > b.MaxAge)
}

// warnOfBackups tells of blocks whose newest proven backup is too old, in whichever of their targets
// it is. A stack that exists nowhere yet has none to be too old.
func (s *Session) warnOfBackups(ctx context.Context) {
	if s.serial() == 0 {
		return
	}
	all := s.backupStatus(ctx, func(b *stack.Backup) bool { return b.MaxAge > 0 })
	for _, text := range warnings(all) {
		s.warn("%s", text)
	}
}

// warnings says what is to be known of the blocks: one proven backup that is young enough is enough.
func warnings(all []BackupStatus) []string {
	var texts []string
	seen := map[string]bool{}
	for _, first := range all {
		if seen[first.Block] {
			continue
		}
		seen[first.Block] = true
		var newest *DatedBackup
		fresh, asked := false, false
		for _, b := range all {
			switch {
			case b.Block != first.Block:
			case b.Unknown != "":
				texts = append(texts, fmt.Sprintf("backup %s: target %s could not be asked: %s", b.Block, b.Target, b.Unknown))
			default:
				asked, fresh = true, fresh || !b.Old
				if b.Proven != nil && (newest == nil || b.Proven.At.After(newest.At)) {
					newest = b.Proven
				}
			}
		}
		switch {
		case fresh || !asked:
		case newest == nil:
			texts = append(texts, fmt.Sprintf("backup %s: there is no proven backup: run 'cloudship backup create' and 'cloudship backup verify %s/latest'", first.Block, first.Block))
		default:
			texts = append(texts, fmt.Sprintf("backup %s: the newest proven backup, %s, is %s old, and max_age is %s: run 'cloudship backup create' and 'cloudship backup verify %s/latest'",
				first.Block, newest.Name, Age(time.Since(newest.At)), Age(first.MaxAge), first.Block))
		}
	}
	return texts
}

// Age is how old something is, in the largest unit of which there are two: 90s, 45m, 26h, 9d.
func Age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
