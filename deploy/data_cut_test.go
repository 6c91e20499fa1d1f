package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs are those by which the scripts of a swap change what is on the disk.
var programs = []string{"mv", "ln", "rm", "mkdir", "find", "perl", "sqlite3"}

// cutter makes a folder of programs that do what the real ones do, and counts them: at a certain one
// the script that runs it is killed, before or after.
type cutter struct {
	t      *testing.T
	folder string
}

func newCutter(t *testing.T) cutter {
	c := cutter{t, t.TempDir()}
	for _, name := range programs {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf(`#!/bin/sh
cd %q
echo %s >>count
n=$(wc -l <count)
read -r at when <cut
cd "$OLDPWD"
[ "$n" != "$at" ] || [ "$when" != before ] || { kill -KILL $PPID; exit 1; }
%s "$@"
code=$?
[ "$n" != "$at" ] || [ "$when" != after ] || kill -KILL $PPID
exit $code
`, c.folder, name, real)
		if err := os.WriteFile(filepath.Join(c.folder, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// run runs a script with the programs and reports whether it was cut off.
func (c cutter) run(script string, at int, when string, args ...string) bool {
	c.t.Helper()
	if err := errors.Join(os.WriteFile(filepath.Join(c.folder, "cut"), fmt.Appendf(nil, "%d %s\n", at, when), 0o600), os.WriteFile(filepath.Join(c.folder, "count"), nil, 0o600)); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-euc", script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+c.folder+":"+os.Getenv("PATH"))
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, &told
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == -1 || exit.ExitCode() == 137) { // the script, or a subshell of it
		return true
	}
	if err != nil {
		c.t.Fatalf("%v: %s", err, told.String())
	}
	return false
}

// TestASwapIsCutOffAnywhere kills the scripts of a swap, and of the way back, at each of their
// commands, as a power cut does. Settled afterwards, the old or the new is in its place, whole, and
// what is called the old copy is one.
func TestASwapIsCutOffAnywhere(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   string
		own    bool
		noPerl bool
	}{
		{name: "sqlite", kind: DataSQLite}, {name: "folder", kind: DataFiles},
		{name: "folder without perl", kind: DataFiles, noPerl: true}, {name: "folder that is a disk", kind: DataFiles, own: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cuts := newCutter(t)
			if c.noPerl {
				if err := os.WriteFile(filepath.Join(cuts.folder, "perl"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, back := range []bool{false, true} {
				for at := 1; ; at++ {
					cut := false
					for _, when := range []string{"before", "after"} {
						cut = cutOff(t, cuts, c.kind, c.own, back, at, when) || cut
					}
					if !cut || t.Failed() {
						break
					}
				}
			}
		})
	}
}

// cutOff cuts one script off, and reports whether it came that far.
func cutOff(t *testing.T, cuts cutter, kind string, own, back bool, at int, when string) bool {
	t.Helper()
	dir := t.TempDir()
	defer func() { _ = os.RemoveAll(dir) }()
	p := place{root: dir, path: filepath.Join(dir, "data"), own: own}
	s := (&Holding{data: Data{Kind: kind}}).swapping(p, stamp)
	args := s.arguments()
	put := func(at, text string) {
		t.Helper()
		if kind == DataFiles {
			if err := errors.Join(os.MkdirAll(filepath.Join(at, "in"), 0o755), os.WriteFile(filepath.Join(at, "a"), []byte(text), 0o644), os.WriteFile(filepath.Join(at, "in", "b"), []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
			return
		}
		sql := "PRAGMA journal_mode=wal; CREATE TABLE rows(say TEXT); INSERT INTO rows VALUES('" + text + "');"
		if out, err := exec.Command("sqlite3", at, sql).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	says := func(at string) string {
		if kind == DataFiles {
			a, _ := os.ReadFile(filepath.Join(at, "a"))
			b, _ := os.ReadFile(filepath.Join(at, "in", "b"))
			if string(a) != string(b) {
				return fmt.Sprintf("mixed: %q and %q", a, b)
			}
			return string(a)
		}
		if _, err := os.Stat(at); err != nil {
			return ""
		}
		out, err := exec.Command("sqlite3", at, "PRAGMA integrity_check; SELECT say FROM rows").CombinedOutput()
		return strings.TrimPrefix(strings.TrimSpace(string(out)), "ok\n") + map[bool]string{true: fmt.Sprint(err)}[err != nil]
	}
	put(p.path, "old")
	if err := os.MkdirAll(s.scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	put(s.scratch+"/new", "new")
	scripts := swapScripts[kind]
	script := scripts.swap
	if back {
		if out, err := exec.Command("sh", append([]string{"-euc", scripts.swap, "sh"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		script = scripts.back
	}
	if !cuts.run(script, at, when, args...) {
		return false
	}
	whole := func(have string) bool { return have == "old" || have == "new" }
	name := fmt.Sprintf("back: %v, cut off %s command %d", back, when, at)
	if have := says(p.path); !whole(have) && !own && kind == DataSQLite {
		t.Errorf("%s: the data says %q", name, have)
	}
	if out, err := exec.Command("sh", append([]string{"-euc", scripts.settle, "sh"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: settle: %v: %s", name, err, out)
	}
	have, before := says(p.path), says(s.before)
	if !whole(have) {
		t.Errorf("%s, settled: the data says %q", name, have)
	}
	if !back && (have == "old" && before != "" || have == "new" && before != "old") {
		t.Errorf("%s, settled: the data says %q, the old copy %q", name, have, before)
	}
	if back && have == "new" && before != "old" {
		t.Errorf("%s, settled: the old copy says %q", name, before)
	}
	if _, err := os.Stat(s.scratch); err == nil {
		t.Errorf("%s, settled: %s is left", name, s.scratch)
	}
	return true
}
