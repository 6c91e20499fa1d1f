package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/engine"
)

func newBackupCommand(t *terminal, g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Save data elsewhere, prove that it can be brought back, and bring it back",
		Long: `Make, list, verify, restore and prune the backups that the stack file's backup blocks describe.

A backup is read from its server through the one SSH connection, sealed with the stack's key, and
streamed to its targets: a folder here, another server, a bucket. It is listed once it is whole.`,
	}
	cmd.AddCommand(newBackupCreateCommand(t, g), newBackupListCommand(t, g), newBackupVerifyCommand(t, g), newBackupRestoreCommand(t, g), newBackupPruneCommand(t, g))
	return cmd
}

// backupNames are the labels of the backup blocks.
func backupNames(s *engine.Session) []string {
	var list []string
	for _, b := range s.Stack().Backups {
		list = append(list, b.Name)
	}
	return list
}

func newBackupCreateCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var to string
	cmd := &cobra.Command{
		Use:   "create [BLOCK...]",
		Short: "Make a backup of each block, or of those named, in all of its targets",
		Long: `Make a backup of each backup block, or of those named, in all of its targets. The data is read once. A
target that fails does not keep the others from theirs, and makes the exit code 1. Where the block says
what to keep, older backups are pruned after that.

It takes no lock. A rollout that is half-way on the server is waited for.`,
		Example: "  cloudship backup create\n  cloudship backup create database --to s3",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.session(cmd.Context(), t, g, "backup create")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			return s.Backup(cmd.Context(), args, to, t.backed("saved"))
		},
	}
	f.addVars(cmd.Flags())
	completes(cmd, t, g, &f, -1, backupNames)
	cmd.Flags().StringVar(&to, "to", "", "only into this target")
	return cmd
}

// backed tells what became of a backup in one target.
func (t *terminal) backed(what string) func(engine.Backed) {
	return func(b engine.Backed) {
		fields := map[string]any{"backup": b, "seconds": b.Took.Seconds()}
		if b.Err != nil {
			if t.json {
				fields["error"] = b.Err.Error()
				t.object("backup_failed", "backup "+b.Block+" in "+b.Target+" failed", fields)
			}
			return
		}
		text := fmt.Sprintf("%s %s/%s in %s: %s in %s", what, b.Block, b.Name, b.Target, sized(b.Size), b.Took.Round(100*time.Millisecond))
		if b.How != "" {
			text += "; " + b.How
		}
		if n := len(b.Pruned); n > 0 {
			text += fmt.Sprintf("; pruned %d", n)
		}
		t.result("backup_"+what, text, fields)
	}
}

func newBackupListCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var from string
	cmd := &cobra.Command{
		Use:   "list [BLOCK...]",
		Short: "List the backups that the targets have, the newest first",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.session(cmd.Context(), t, g, "backup list")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			all, err := s.Backups(cmd.Context(), args, from)
			if err != nil {
				return err
			}
			return t.backups(all)
		},
	}
	f.addVars(cmd.Flags())
	completes(cmd, t, g, &f, -1, backupNames)
	cmd.Flags().StringVar(&from, "from", "", "only of this target")
	return cmd
}

// backups lists what targets have. One that could not be asked, and what is damaged, is an error.
func (t *terminal) backups(all []engine.Kept) error {
	wrong := false
	t.table(func(row func(string, ...any)) {
		for _, k := range all {
			for _, b := range k.Backups {
				proven := "not proven"
				if b.Proof != nil {
					proven = "proven " + ago(b.Proof.Proven)
				}
				if t.json {
					continue
				}
				row("%s\t%s\t%s\t%s\t%s\t%s", b.Record, k.Target, ago(b.Created), sized(b.Plain.Size), b.Release, proven)
			}
		}
	})
	for _, k := range all {
		for _, b := range k.Backups {
			if t.json {
				t.object("backup", b.Record.String()+" in "+k.Target, backupFields(k, b))
			}
		}
		for _, err := range k.Damaged {
			wrong = true
			t.fail(fmt.Errorf("target %s: %w", k.Target, err), exitError)
		}
		if k.Unknown != "" {
			wrong = true
			t.fail(fmt.Errorf("backup %s: target %s could not be asked: %s", k.Block, k.Target, k.Unknown), exitError)
		}
	}
	if wrong {
		return &codeError{code: exitError}
	}
	return nil
}

func backupFields(k engine.Kept, b backup.Backup) map[string]any {
	fields := map[string]any{"target": k.Target, "place": k.Place, "record": b.Record}
	if b.Proof != nil {
		fields["proof"] = b.Proof
	}
	return fields
}

// ago is how long ago a moment was, in the largest unit that fits.
func ago(at time.Time) string { return engine.Age(time.Since(at)) + " ago" }

// sized is a size for people.
func sized(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func newBackupVerifyCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var block, from string
	cmd := &cobra.Command{
		Use:   "verify NAME|latest",
		Short: "Restore a backup into a scratch place on its server, and look whether it is sound",
		Long: `Read a backup to its end, compare its sums, restore it into a scratch place on its server (a file or folder
beside the data, a scratch database), and run the integrity check and the block's own check on it. What runs
is not touched. A backup that passes is noted as proven. It is verified in each target that has it.

A name may be cut short where its beginning fits no other; BLOCK/NAME says of which block it is.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.session(cmd.Context(), t, g, "backup verify")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			return s.VerifyBackup(cmd.Context(), args[0], block, from, t.backed("proved"))
		},
	}
	f.addVars(cmd.Flags())
	cmd.Flags().StringVar(&block, "block", "", "the backup block that it is of")
	cmd.Flags().StringVar(&from, "from", "", "only in this target")
	return cmd
}

type restoreOptions struct {
	stackFlags
	block, from string
	approve     bool
}

func newBackupRestoreCommand(t *terminal, g *global) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore NAME|latest",
		Short: "Put a backup in the place of the data, and keep the old data beside it",
		Long: `Restore a backup into a scratch place on its server, compare its sums, run the integrity check and the block's
own check on it, and only then put it in the place of the data: the containers that use the data are stopped
meanwhile, and started again. The old data is kept under another name. When the service does not come up with
the restored data, the old data is put back.

Killed anywhere, the old or the new data is in its place, whole; run it again.`,
		Example: "  cloudship backup restore latest\n  cloudship backup restore database/20260921_180000.sqlite3 -y",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRestore(cmd.Context(), t, g, &o, args[0])
		},
	}
	o.addVars(cmd.Flags())
	cmd.Flags().StringVar(&o.block, "block", "", "the backup block that it is of")
	cmd.Flags().StringVar(&o.from, "from", "", "read it from this target")
	cmd.Flags().BoolVarP(&o.approve, "auto-approve", "y", false, "do not ask")
	cmd.Flags().DurationVar(&o.lockWait, "lock-wait", 0, "how long to wait for somebody else's lock")
	return cmd
}

func runRestore(ctx context.Context, t *terminal, g *global, o *restoreOptions, name string) (err error) {
	s, err := o.session(ctx, t, g, "backup restore")
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, s.Close()) }()
	if !o.approve {
		yes, err := t.ask(ctx, "Put backup "+name+" in the place of the data that there is?")
		if err != nil {
			return err
		}
		if !yes {
			t.say("nothing was done")
			return &codeError{code: exitError}
		}
	}
	done, err := s.RestoreBackup(ctx, name, o.block, o.from)
	if err != nil {
		return err
	}
	t.restored(done)
	return nil
}

// restored tells what a restore did.
func (t *terminal) restored(r engine.Restored) {
	text := fmt.Sprintf("restored %s/%s from %s onto %s", r.Block, r.Name, r.Target, r.Server)
	if r.Before != "" {
		text += "; the data before it is " + r.Before
	}
	t.result("backup_restored", text, map[string]any{"restored": r})
}

func newBackupPruneCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "prune [BLOCK...]",
		Short: "Delete the backups that the keep blocks do not keep, and what was left half-made",
		Long: `Delete the backups that the keep blocks do not keep any more, and what killed backups left half-made more than a
day ago. The newest backup and the newest proven one of each block always stay.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.session(cmd.Context(), t, g, "backup prune")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			return s.PruneBackups(cmd.Context(), args, dry, func(p engine.Pruning) { t.pruned(p, dry) })
		},
	}
	f.addVars(cmd.Flags())
	completes(cmd, t, g, &f, -1, backupNames)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be deleted, and do nothing")
	return cmd
}

// pruned tells what stays and what goes.
func (t *terminal) pruned(p engine.Pruning, dry bool) {
	word := "deleted"
	if dry {
		word = "would delete"
	}
	for _, k := range p.Kept {
		t.result("backup_kept", fmt.Sprintf("keeps %s in %s: %s", k.Record, p.Target, strings.Join(k.Reasons, ", ")),
			map[string]any{"block": p.Block, "target": p.Target, "name": k.Name, "reasons": k.Reasons})
	}
	for _, r := range p.Dropped {
		t.result("backup_pruned", fmt.Sprintf("%s %s in %s", word, r, p.Target), map[string]any{"block": p.Block, "target": p.Target, "name": r.Name, "dry_run": dry})
	}
	for _, name := range p.Swept {
		t.result("backup_swept", "removed what was left of "+name, map[string]any{"block": p.Block, "target": p.Target, "object": name})
	}
}
