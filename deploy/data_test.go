package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/resource"
)

// ledger is an application with a volume behind a proxy that has its address in a file.
const ledger = `
name: shop
services:
  app:
    image: app
    environment: { VERSION: "${VERSION}" }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    volumes: ["data:/data"]
    networks: [back]
  proxy:
    image: proxy
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    configs: [{ source: upstreams, target: /upstreams }]
    networks: [back]
    x-cloudship:
      hooks:
        - on: [start:app, stop:app, scale_out:app, scale_in:app]
          command: [reload]
networks: { back: {} }
volumes: { data: {} }
configs:
  upstreams:
    content: |
      {{ app | container_private_ip }}
`

// keeping is a server with an application that has data.
type keeping struct {
	*world
	volume string // its folder
	told   *said
}

func newKeeping(t *testing.T) *keeping {
	k := &keeping{world: newWorld(t), told: &said{}}
	k.volume = filepath.Join(t.TempDir(), "volumes", "shop_data", "_data")
	if err := os.MkdirAll(k.volume, 0o755); err != nil {
		t.Fatal(err)
	}
	k.rolled(target{release: render(t, ledger, map[string]string{"VERSION": "v1"})})
	for _, c := range k.of("app") {
		c.Mounts = []container.MountPoint{{Type: "volume", Name: "shop_data", Source: k.volume, Destination: "/data", RW: true}}
	}
	return k
}

// hold connects to data of the application.
func (k *keeping) hold(data Data) *Holding {
	k.t.Helper()
	none := &rollout{
		engine: k.engine(), folder: folder{host: k, root: k.root}, group: "one", server: resource.Server("one", 0), hostIP: "10.0.0.1", say: k.told.say, now: time.Now,
	}
	r, err := none.standing(k.t.Context())
	if err != nil || r == nil {
		k.t.Fatal(r, err)
	}
	h := &Holding{data: data, standing: r, say: k.told.say}
	h.run = h.inContainer
	if err := h.known(); err != nil {
		k.t.Fatal(err)
	}
	return h
}

var database = Data{Kind: DataSQLite, Service: "app", Path: "/data/production.sqlite3", Check: "SELECT count(*) FROM rows"}

// file is the path of something in the volume.
func (k *keeping) file(name string) string { return filepath.Join(k.volume, name) }

// sql runs SQL on a database of the volume.
func (k *keeping) sql(name, text string) string {
	k.t.Helper()
	out, err := exec.Command("sqlite3", "-batch", "-bail", k.file(name), text).CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s: %v: %s", text, err, out)
	}
	return strings.TrimSpace(string(out))
}

// fill gives the database rows that all say the same, and leaves them in its log.
func (k *keeping) fill(say string, rows int) {
	k.t.Helper()
	k.sql("production.sqlite3", fmt.Sprintf(`PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS rows(say TEXT, x BLOB);
DELETE FROM rows; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c LIMIT %d) INSERT INTO rows SELECT '%s', randomblob(2000) FROM c;`, rows, say))
}

// says is what the rows of a database of the volume say, and how many they are, or what is wrong.
func (k *keeping) says(name string) string {
	out, err := exec.Command("sqlite3", "-batch", k.file(name), `PRAGMA integrity_check; SELECT DISTINCT say, count(*) FROM rows GROUP BY say;`).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if rest, sound := strings.CutPrefix(text, "ok\n"); err == nil && sound {
		return rest
	}
	return fmt.Sprintf("%v: %s", err, text)
}

// save makes a backup.
func (k *keeping) save(data Data) []byte {
	k.t.Helper()
	var to bytes.Buffer
	if _, err := k.hold(data).Save(k.t.Context(), &to); err != nil {
		k.t.Fatal(err)
	}
	return to.Bytes()
}

// opens gives a backup as it is opened.
func opens(content []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

// lies lists what there is in the volume, without the old copies.
func (k *keeping) lies() []string {
	k.t.Helper()
	entries, err := os.ReadDir(k.volume)
	if err != nil {
		k.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.Contains(e.Name(), beforeMark) {
			names = append(names, e.Name())
		}
	}
	return names
}

const stamp = "20260921_180000"

// A restore is into a scratch place first; then the application is stopped, the one put in the place
// of the other, and started again. The old copy is kept, with what was only in its log.
func TestF10ARestoreKeepsTheOldCopy(t *testing.T) {
	k := newKeeping(t)
	k.fill("old", 300)
	if err := os.Chmod(k.file("production.sqlite3"), 0o604); err != nil {
		t.Fatal(err)
	}
	saved := k.save(database)
	k.fill("new", 500)
	how, err := k.hold(database).Prove(t.Context(), bytes.NewReader(saved))
	if err != nil || !strings.Contains(how, "integrity_check is ok, check passed") {
		t.Fatal(how, err)
	}
	if k.says("production.sqlite3") != "new|500" || k.of("app")[0].runs != 1 {
		t.Error("to prove a backup changed what runs")
	}
	before, err := k.hold(database).Restore(t.Context(), opens(saved), stamp)
	if err != nil {
		t.Fatal(err)
	}
	if have := k.says("production.sqlite3"); have != "old|300" {
		t.Errorf("restored is %s", have)
	}
	if want := k.file("production.sqlite3.before-" + stamp); before != want || k.says(filepath.Base(want)) != "new|500" {
		t.Errorf("the old copy %s is %s", before, k.says(filepath.Base(want)))
	}
	if info, err := os.Stat(k.file("production.sqlite3")); err != nil || info.Mode().Perm() != 0o604 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if app := k.of("app")[0]; !app.State.Running || app.runs != 2 {
		t.Errorf("the application is %s, and was started %d times", app.State.Status, app.runs)
	}
	k.world.told()
	if why := k.condition(); why != "" {
		t.Errorf("out of order: %s", why)
	}
	if names := k.lies(); !slices.Equal(names, []string{"production.sqlite3"}) {
		t.Errorf("left behind: %v", names)
	}
}

// What is not whole, or not sound, is never put in the data's place.
func TestF10WhatIsNotSoundIsRefused(t *testing.T) {
	k := newKeeping(t)
	k.fill("old", 300)
	saved := k.save(database)
	k.fill("new", 20)
	torn := slices.Clone(saved)
	copy(torn[9*4096:], make([]byte, 30*4096))
	bad := errors.New("the sums do not agree")
	for name, c := range map[string]struct {
		from io.Reader
		says string
	}{
		"its end is not what was written": {io.MultiReader(bytes.NewReader(saved), iotest.ErrReader(bad)), bad.Error()},
		"a database that is torn":         {bytes.NewReader(torn), "integrity check"},
		"half a database":                 {bytes.NewReader(saved[:len(saved)/2]), "not sound"},
		"no database":                     {strings.NewReader(strings.Repeat("no", 9000)), "not a database"},
		"an empty database":               {strings.NewReader(""), "no such table: rows"},
	} {
		h := k.hold(database)
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(c.from), nil }
		if _, err := h.Restore(t.Context(), open, stamp); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if have := k.says("production.sqlite3"); have != "new|20" || k.of("app")[0].runs != 1 {
			t.Errorf("%s: the data is %s", name, have)
		}
		if names := k.lies(); !slices.Equal(names, []string{"production.sqlite3"}) {
			t.Errorf("%s: left behind: %v", name, names)
		}
	}
	h := k.hold(Data{Kind: DataSQLite, Service: "app", Path: "/data/production.sqlite3", Check: "SELECT count(*) > 1000 FROM rows"})
	if _, err := h.Prove(t.Context(), bytes.NewReader(saved)); err == nil || !strings.Contains(err.Error(), `answers "0"`) {
		t.Errorf("a check that says no: %v", err)
	}
}

// An application that does not come up with the restored data has its old data back.
func TestF10TheOldDataIsBackWhereTheNewDoesNotServe(t *testing.T) {
	k := newKeeping(t)
	k.fill("old", 300)
	saved := k.save(database)
	k.fill("new", 20)
	k.starts = func(c *fakeContainer) error {
		if c.Config.Labels[composeService] == "app" && k.says("production.sqlite3") != "new|20" {
			return errors.New("it does not like its data")
		}
		return nil
	}
	_, err := k.hold(database).Restore(t.Context(), opens(saved), stamp)
	if err == nil || !strings.Contains(err.Error(), "does not like its data") || !strings.Contains(err.Error(), "as it was before") {
		t.Fatal(err)
	}
	if have := k.says("production.sqlite3"); have != "new|20" || !k.of("app")[0].State.Running {
		t.Errorf("the data is %s, the application %s", have, k.of("app")[0].State.Status)
	}
	if left, _ := filepath.Glob(k.file("*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	k.world.told()
}

// TestARestoreIsKilledAnywhere kills the client before and after each of its changes to a server. The
// old or the new data is in its place, whole; and the restore run again ends it.
func TestARestoreIsKilledAnywhere(t *testing.T) {
	for _, c := range []struct {
		name string
		data Data
	}{{"sqlite", database}, {"files", Data{Kind: DataFiles, Service: "app", Path: "/data"}}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				died := false
				for _, after := range []bool{false, true} {
					died = killedRestore(t, c.data, at, after) || died
				}
				if !died || t.Failed() {
					return
				}
			}
		})
	}
}

// killedRestore kills a restore at one change, and reports whether it came that far.
func killedRestore(t *testing.T, data Data, at int, after bool) bool {
	k := newKeeping(t)
	defer func() {
		k.http.Close()
		_ = os.RemoveAll(k.root)
	}()
	k.fill("old", 30)
	saved := k.save(data)
	k.fill("new", 40)
	h := k.hold(data)
	k.arm(at, after)
	_, err := h.Restore(t.Context(), opens(saved), stamp)
	died, dead := k.revive()
	if !dead {
		if err != nil {
			t.Error(err)
		}
		return false
	}
	if have := k.says("production.sqlite3"); have != "old|30" && have != "new|40" {
		t.Errorf("killed at change %d (%s, after: %v): the data is %s", at, died, after, have)
	}
	if _, err := k.hold(data).Restore(t.Context(), opens(saved), "20260921_190000"); err != nil {
		t.Errorf("killed at change %d (%s, after: %v), and run again: %v", at, died, after, err)
	}
	if have := k.says("production.sqlite3"); have != "old|30" {
		t.Errorf("killed at change %d (%s, after: %v), and run again: the data is %s", at, died, after, have)
	}
	if app := k.of("app")[0]; !app.State.Running {
		t.Errorf("killed at change %d (%s, after: %v), and run again: the application is %s", at, died, after, app.State.Status)
	}
	k.world.told()
	if names := k.lies(); !slices.Equal(names, []string{"production.sqlite3"}) {
		t.Errorf("killed at change %d (%s, after: %v): left behind: %v", at, died, after, names)
	}
	k.keptOnce(fmt.Sprintf("killed at change %d (%s, after: %v)", at, died, after))
	return true
}

// keptOnce wants exactly one old copy of what was there before the restore.
func (k *keeping) keptOnce(when string) {
	k.t.Helper()
	var found []string
	for _, pattern := range []string{k.file("production.sqlite3" + beforeMark + "*"), k.volume + beforeMark + "*/production.sqlite3"} {
		list, _ := filepath.Glob(pattern)
		for _, name := range list {
			rel, err := filepath.Rel(k.volume, name)
			if err == nil && k.says(rel) == "new|40" {
				found = append(found, rel)
			}
		}
	}
	if len(found) != 1 {
		k.t.Errorf("%s: old copies: %v", when, found)
	}
}

// What a command of the template writes is a backup, and what it reads is restored; the command is
// told nothing that was not read to its end before.
func TestF11ACommandOfTheTemplateIsTheSource(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "queue")
	w.rolled(target{release: render(t, strings.ReplaceAll(commanded, "FILE", file), nil)})
	k := &keeping{world: w, told: &said{}}
	data := Data{Kind: DataCommand, Service: "app"}
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want string) {
		t.Helper()
		if b, err := os.ReadFile(file); err != nil || string(b) != want {
			t.Errorf("there is %q, %v, want %q", b, err, want)
		}
	}
	if _, err := k.hold(data).Save(t.Context(), io.Discard); err == nil {
		t.Error("a command that fails makes a backup")
	}
	put("old\n")
	saved := k.save(data)
	if string(saved) != "from here: old\n" {
		t.Errorf("saved is %q", saved)
	}
	put("new\n")
	bad := errors.New("the sums do not agree")
	torn := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(saved), iotest.ErrReader(bad))), nil
	}
	if _, err := k.hold(data).Restore(t.Context(), torn, stamp); !errors.Is(err, bad) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Error(err)
	}
	has("new\n")
	if _, err := k.hold(data).Restore(t.Context(), opens(saved), stamp); err != nil {
		t.Fatal(err)
	}
	has("back there: from here: old\n")
}

const commanded = `
name: shop
services:
  app:
    image: app
    x-cloudship:
      backup:
        run: { where: host, run: 'printf "from here: "; cat "$$1"', args: ["FILE"] }
        restore: { where: host, run: '{ printf "$$SAY"; cat; } >"$$TO"', args: { SAY: "back there: ", TO: "FILE" } }
`

// A backup of a folder has owners and modes; what a restore left there is in no backup.
func TestFilesKeepOwnersAndModes(t *testing.T) {
	for _, own := range []bool{false, true} {
		k := newKeeping(t)
		data := Data{Kind: DataFiles, Service: "app", Path: "/data/up loads"}
		folder := k.file("up loads")
		write := func(name, text string, mode os.FileMode) {
			t.Helper()
			path := filepath.Join(folder, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		write("a", "one", 0o640)
		write("deep/b", "two", 0o600)
		write("x.before-20250101_000000", "old", 0o600)
		if err := os.Symlink("a", filepath.Join(folder, "link")); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(filepath.Join(folder, "a"), 1234, 4321); err != nil {
				t.Fatal(err)
			}
		}
		list := func(folder string) string {
			out, err := exec.Command("find", folder, "-mindepth", "1", "-printf", "%P %m %U %G %l\n").Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			slices.Sort(lines)
			return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, beforeMark) }), "\n")
		}
		want := list(folder)
		saved := k.save(data)
		write("a", "changed", 0o777)
		write("c", "added", 0o600)
		changed := list(folder)
		var before string
		var err error
		if own {
			h := k.hold(data)
			p, e := h.place(t.Context())
			if e != nil {
				t.Fatal(e)
			}
			p.own = true
			s := h.swapping(p, stamp)
			if err = h.receive(t.Context(), s.scratch, bytes.NewReader(saved)); err == nil {
				err = s.swap(t.Context())
			}
			before = s.before
		} else {
			before, err = k.hold(data).Restore(t.Context(), opens(saved), stamp)
		}
		if err != nil {
			t.Fatal(err)
		}
		if have := list(folder); have != want {
			t.Errorf("own: %v: restored is\n%s\nwant\n%s", own, have, want)
		}
		if have := list(before); have != changed {
			t.Errorf("own: %v: the old copy is\n%s\nwant\n%s", own, have, changed)
		}
		if b, err := os.ReadFile(filepath.Join(folder, "a")); err != nil || string(b) != "one" {
			t.Errorf("own: %v: a says %q, %v", own, b, err)
		}
	}
}
