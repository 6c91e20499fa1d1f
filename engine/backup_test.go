package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
)

// localShell runs scripts here, as another server does.
type localShell struct{}

func (localShell) Run(ctx context.Context, script string, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	c := exec.CommandContext(ctx, "sh", append([]string{"-euc", script, "sh"}, args...)...)
	c.Stdin, c.Stdout, c.Stderr = stdin, stdout, stderr
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// breaking is a target whose disk is full after so many bytes.
type breaking struct {
	backup.Target
	after int64
}

func (b breaking) Put(ctx context.Context, name string, content io.Reader) error {
	if !strings.HasSuffix(name, ".age") {
		return b.Target.Put(ctx, name, content)
	}
	_, _ = io.CopyN(io.Discard, content, b.after)
	return backup.ErrFull
}

// targets opens targets as vaults: a folder, another server, and one that fails.
func targets(t *testing.T, fails int64) []vault {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	here, err := backup.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	there, err := backup.OpenShell(localShell{}, t.TempDir(), "ssh://box/srv")
	if err != nil {
		t.Fatal(err)
	}
	all := []vault{{name: "here"}, {name: "there"}}
	list := []backup.Target{here, there}
	if fails >= 0 {
		all, list = append(all, vault{name: "broken"}), append(list, breaking{here, fails})
	}
	at := time.Now()
	for i, target := range list {
		stack := "shop"
		if i == 2 {
			stack = "other"
		}
		first := true
		all[i].close = func() {}
		all[i].Store, err = backup.NewStore(target, stack, backup.Options{
			Identities: []age.Identity{identity}, Recipients: []age.Recipient{identity.Recipient()},
			Now: func() time.Time {
				if first {
					first = false
					return at
				}
				return time.Now()
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// content is what a source gives, in pieces.
func content(n int) (whole []byte, save func(context.Context, io.Writer) (map[string]string, error)) {
	whole = bytes.Repeat([]byte("0123456789abcdef"), n/16)
	return whole, func(_ context.Context, w io.Writer) (map[string]string, error) {
		for rest := whole; len(rest) > 0; {
			k := min(len(rest), 30_000)
			if _, err := w.Write(rest[:k]); err != nil {
				return nil, err
			}
			rest = rest[k:]
		}
		return map[string]string{"journal": "wal"}, nil
	}
}

// TestF19ABackupIsInEveryTargetFromOneReading writes to a folder and to another server at once, under
// one name, and reads it back from each. One target that fails keeps none of the others from theirs.
func TestF19ABackupIsInEveryTargetFromOneReading(t *testing.T) {
	for name, fails := range map[string]int64{"all good": -1, "one fails at once": 0, "one fails on the way": 200_000} {
		t.Run(name, func(t *testing.T) {
			stores := targets(t, fails)
			whole, save := content(1 << 20)
			read := 0
			all, source := writeAll(t.Context(), stores, backup.Draft{Of: "database"}, func(ctx context.Context, w io.Writer) (map[string]string, error) {
				read++
				return save(ctx, w)
			})
			if source != nil || read != 1 {
				t.Fatalf("the source was read %d times: %v", read, source)
			}
			for i, w := range all {
				if stores[i].name == "broken" {
					if !errors.Is(w.err, backup.ErrFull) {
						t.Errorf("the full one: %v", w.err)
					}
					if l, err := stores[i].List(t.Context(), "database"); err != nil || len(l.Backups)+len(l.Damaged) > 0 {
						t.Errorf("it lists %v, %v", l, err)
					}
					continue
				}
				if w.err != nil {
					t.Fatal(stores[i].name, w.err)
				}
				found, err := stores[i].Find(t.Context(), "database", backup.Latest)
				if err != nil || found.Name != all[0].record.Name || found.Notes["journal"] != "wal" {
					t.Fatalf("%s has %v, %v; want %s", stores[i].name, found, err, all[0].record.Name)
				}
				r, err := stores[i].Open(t.Context(), found.Record)
				if err != nil {
					t.Fatal(err)
				}
				if have, err := io.ReadAll(r); err != nil || !bytes.Equal(have, whole) {
					t.Errorf("%s gives %d bytes back, %v", stores[i].name, len(have), err)
				}
				_ = r.Close()
			}
		})
	}
}

// A source that fails, or that is interrupted, leaves nothing anywhere.
func TestASourceThatFailsLeavesNoBackup(t *testing.T) {
	gone := errors.New("the connection was lost")
	for name, save := range map[string]func(context.Context, io.Writer) (map[string]string, error){
		"at once": func(context.Context, io.Writer) (map[string]string, error) { return nil, gone },
		"on the way": func(_ context.Context, w io.Writer) (map[string]string, error) {
			_, _ = w.Write(make([]byte, 1<<18))
			return nil, gone
		},
	} {
		stores := targets(t, -1)
		all, source := writeAll(t.Context(), stores, backup.Draft{Of: "database"}, save)
		if !errors.Is(source, gone) {
			t.Errorf("%s: %v", name, source)
		}
		for i, w := range all {
			if w.err == nil {
				t.Errorf("%s: %s has a backup", name, stores[i].name)
			}
			if l, err := stores[i].List(t.Context(), ""); err != nil || len(l.Backups)+len(l.Damaged) > 0 {
				t.Errorf("%s: %s lists %v, %v", name, stores[i].name, l, err)
			}
		}
	}
	stores := targets(t, -1)
	ctx, cancel := context.WithCancel(t.Context())
	all, source := writeAll(ctx, stores, backup.Draft{Of: "database"}, func(ctx context.Context, w io.Writer) (map[string]string, error) {
		_, _ = w.Write(make([]byte, 1<<18))
		cancel()
		_, err := w.Write(make([]byte, 1<<20))
		return nil, errors.Join(err, ctx.Err())
	})
	if source == nil || all[0].err == nil || all[1].err == nil {
		t.Errorf("interrupted: %v, %v", source, all)
	}
}

// TestP15WhatIsTooOldIsSaid warns of blocks whose newest proven backup is older than it may be.
func TestP15WhatIsTooOldIsSaid(t *testing.T) {
	now := time.Now()
	of := func(hours float64, proven bool) backup.Backup {
		b := backup.Backup{Record: backup.Record{Of: "db", Name: "n", Created: now.Add(-time.Duration(hours * float64(time.Hour)))}}
		if proven {
			b.Proof = &backup.Proof{}
		}
		return b
	}
	for name, c := range map[string]struct {
		targets []Kept
		says    string // "" is nothing
	}{
		"none":                         {[]Kept{{}}, "there is no proven backup"},
		"none proven":                  {[]Kept{{Backups: []backup.Backup{of(1, false)}}}, "there is no proven backup"},
		"proven and young":             {[]Kept{{Backups: []backup.Backup{of(1, false), of(25, true)}}}, ""},
		"proven and old":               {[]Kept{{Backups: []backup.Backup{of(1, false), of(27.5, true)}}}, "is 27h old, and max_age is 26h"},
		"young in one of two":          {[]Kept{{}, {Backups: []backup.Backup{of(2, true)}}}, ""},
		"a target that is not reached": {[]Kept{{Unknown: "no route"}, {Backups: []backup.Backup{of(2, true)}}}, "target b could not be asked: no route"},
		"none that is reached":         {[]Kept{{Unknown: "no route"}}, "could not be asked"},
	} {
		var all []BackupStatus
		for i, k := range c.targets {
			b := BackupStatus{Block: "db", Target: string(rune('c' - len(c.targets) + i)), MaxAge: 26 * time.Hour}
			if len(c.targets) == 2 {
				b.Target = string(rune('b' + i))
			}
			b.of(k, now)
			all = append(all, b)
		}
		texts := warnings(all)
		if c.says == "" && len(texts) > 0 || c.says != "" && (len(texts) != 1 || !strings.Contains(texts[0], c.says)) {
			t.Errorf("%s: %q, want %q", name, texts, c.says)
		}
	}
}

// backupSession is a session over the targets of a stack file, without clouds or servers.
func backupSession(t *testing.T, file string) *Session {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stack.File), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: dir, Environ: []string{"HOME=" + dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

const twoBlocks = `stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "web" { template = "web" }
backup "database" {
  service = "app"
  folder "here" { path = "backups" }
  folder "there" { path = "~/elsewhere" }
}
backup "queue" {
  service = "app"
  folder "here" { path = "backups" }
}
`

// seed writes a backup into targets of a block.
func (s *Session) seed(t *testing.T, block string, at time.Time, targets ...string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range targets {
		for _, target := range s.stack.Backup(block).Targets {
			if target.Name != name {
				continue
			}
			place, err := s.target(t.Context(), target, &vault{})
			if err != nil {
				t.Fatal(err)
			}
			store, err := backup.NewStore(place, "shop", backup.Options{Recipients: []age.Recipient{identity.Recipient()}, Now: func() time.Time { return at }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Write(t.Context(), &backup.Draft{Of: block}, func(_ context.Context, w io.Writer) error { _, err := w.Write([]byte(name)); return err }); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestF10ABackupIsFoundByItsName finds what a name means, in whichever block and target it is.
func TestF10ABackupIsFoundByItsName(t *testing.T) {
	s := backupSession(t, twoBlocks)
	day := func(d int) time.Time { return time.Date(2026, 9, d, 18, 0, 0, 0, time.UTC) }
	s.seed(t, "database", day(20), "here", "there")
	s.seed(t, "database", day(21), "there")
	s.seed(t, "queue", day(20), "here")
	for _, c := range []struct{ name, block, from, want, err string }{
		{name: "database/latest", want: "database/20260921_180000 there"},
		{name: "latest", block: "database", from: "here", want: "database/20260920_180000 here"},
		{name: "latest", err: "2 backup blocks"},
		{name: "20260921", want: "database/20260921_180000 there"},
		{name: "20260920_180000", err: "may be database/20260920_180000 or queue/20260920_180000"},
		{name: "queue/20260920_180000", want: "queue/20260920_180000 here"},
		{name: "database/2026", err: "may be"},
		{name: "20250101", err: "there is no backup"},
		{name: "latest", block: "databas", err: `has no backup "databas"`},
		{name: "database/latest", from: "nowhere", err: `no target "nowhere"`},
	} {
		found, err := s.find(t.Context(), c.name, c.block, c.from)
		have := ""
		if err == nil {
			have = found.Record.String() + " " + found.vault.name
		}
		if have != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q, %v", c, have, err)
		}
	}
}

// TestF14OnlyNewServersAreRestoredOnto decides what `apply --restore` restores.
func TestF14OnlyNewServersAreRestoredOnto(t *testing.T) {
	s := backupSession(t, twoBlocks)
	for _, c := range []struct {
		wanted []string
		names  string
		err    string
	}{
		{wanted: nil, names: ""},
		{wanted: []string{"latest"}, names: "database=latest queue=latest"},
		{wanted: []string{"database=20260920", "latest"}, names: "database=20260920 queue=latest"},
		{wanted: []string{"latest", "database=20260920"}, names: "database=20260920 queue=latest"},
		{wanted: []string{"none"}, names: ""},
		{wanted: []string{"database"}, err: "want latest, BLOCK=NAME, or none"},
		{wanted: []string{"databas=latest"}, err: `has no backup "databas"`},
	} {
		names, err := s.restoreNames(c.wanted)
		var list []string
		for _, block := range []string{"database", "queue"} {
			if names[block] != "" {
				list = append(list, block+"="+names[block])
			}
		}
		if have := strings.Join(list, " "); have != c.names || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v", c.wanted, have, err)
		}
	}
	step := func(do plan.Do, a resource.Address) plan.Step {
		return plan.Step{Do: do, Items: []resource.Item{{Mark: resource.Mark{Address: a}}}}
	}
	p := &plan.Plan{Steps: []plan.Step{step(plan.DoUpdate, resource.Server("web", 0)), step(plan.DoCreate, resource.ReleaseOn("web", 0)), step(plan.DoCreate, resource.Server("other", 0))}}
	b := s.stack.Backup("database")
	if list := newServers(p, b, s.liveOf(b, resource.Intent{})); len(list) > 0 {
		t.Errorf("%v is new", list)
	}
	p.Steps = append(p.Steps, step(plan.DoCreate, resource.Server("web", 1)))
	if list := newServers(p, b, s.liveOf(b, resource.Intent{})); len(list) != 1 || list[0] != resource.Server("web", 1) {
		t.Errorf("%v is new", list)
	}
	pair := &stack.Backup{Group: "blue"}
	s.stack.Groups = append(s.stack.Groups, &stack.Group{Name: "blue", Twin: "green", Balancer: "www"})
	if group := s.liveOf(pair, resource.Intent{Live: map[string]string{"www": "green"}}); group != "green" {
		t.Errorf("the data is looked for in %s", group)
	}
}

// A folder is below the stack's, absolute, or in the home.
func TestPathsOfTargets(t *testing.T) {
	s := backupSession(t, twoBlocks)
	home, _ := s.lookupEnv("HOME")
	for written, want := range map[string]string{"backups": filepath.Join(s.options.Dir, "backups"), "/srv": "/srv", "~/b": filepath.Join(home, "b")} {
		if have, err := s.path(written); err != nil || have != want {
			t.Errorf("%s is %s, %v", written, have, err)
		}
	}
}
