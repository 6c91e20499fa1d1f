//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// saving is a stack whose proxy has a database in a volume.
const saving = alone + `
backup "database" {
  service = "proxy"
  kind    = "sqlite"
  path    = "/data/production.sqlite3"
  check   = "SELECT count(*) FROM rows"
  max_age = "26h"
  keep { last = 5 }
  folder "here" { path = "backups" }
  folder "there" { path = "elsewhere" }
}
backup "note" {
  service = "proxy"
  folder "here" { path = "backups" }
}
backup "big" {
  service = "proxy"
  kind    = "sqlite"
  path    = "/data/big.sqlite3"
  folder "here" { path = "backups" }
}
`

// onServer is the database where the server has it.
const onServer = "/var/lib/docker/volumes/saved_data/_data/production.sqlite3"

// TestBackups makes backups of a database that is written to, proves them, and brings one back: onto
// the server that there is, with the program killed on the way, and onto a new one.
func TestBackups(t *testing.T) {
	t.Parallel()
	v := begin(t, "saved")
	if err := os.WriteFile(filepath.Join(v.Dir, "cloudship.hcl"), []byte(strings.ReplaceAll(saving, `"alone"`, `"saved"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	v.edit("compose.yaml", "    ports:\n      - \"80:80\"\n", "    ports:\n      - \"80:80\"\n    volumes: [\"data:/data\"]\n",
		"    x-cloudship:\n      probe:", "    x-cloudship:\n      backup: { run: cat /data/note, restore: cat >/data/note }\n      probe:", "\nconfigs:\n  upstream:", "\nvolumes:\n  data: {}\n\nconfigs:\n  upstream:")
	v.data = []string{"--destroy-data", "data"}
	v.ship(0, "apply", "-y", "--new-key", "--var", "version=v1")
	url := v.url()
	v.serves(url, "v1")

	step := func(name string, do func(t *testing.T)) {
		t.Helper()
		if t.Failed() {
			return
		}
		t.Run(name, func(sub *testing.T) {
			outer := v.t
			v.t = sub
			defer func() { v.t = outer }()
			do(sub)
		})
	}
	var newest string
	var least, before, restored int64
	step("F9ALiveDatabaseIsSaved", func(*testing.T) {
		v.says(v.ship(1, "backup", "create", "database"), "there is no file", "production.sqlite3")
		v.on("shop", "touch", onServer)
		v.says(v.ship(0, "backup", "create", "database", "--to", "here"), "installed sqlite3 on the server")
		v.on("shop", "sqlite3", onServer, "PRAGMA journal_mode=wal; CREATE TABLE rows(i INTEGER PRIMARY KEY, x BLOB)")
		v.on("shop", "sqlite3", filepath.Join(filepath.Dir(onServer), "big.sqlite3"), "CREATE TABLE t AS SELECT randomblob(60000000) AS x")
		// What was acknowledged before a backup was begun is in it.
		acked, halt := v.writes()
		v.eventually("rows are written", func() bool { return acked.Load() > 20 })
		least = acked.Load()
		v.says(v.ship(0, "backup", "create", "database"), "in here", "in there")
		v.says(v.ship(0, "backup", "verify", "database/latest"), "proved", "integrity_check is ok, check passed", "in there")
		halt()
		newest = v.backups()[0]
		v.says(v.ship(0, "status"), "backup.database", "proven")
		before = v.rows()
	})
	step("F10WhatIsCorruptIsRefused", func(t *testing.T) {
		object := filepath.Join(v.Dir, "backups", "saved", newest+".age")
		flip := func() {
			b, err := os.ReadFile(object)
			if err == nil {
				b[len(b)/2] ^= 1
				err = os.WriteFile(object, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		flip()
		v.says(v.ship(1, "backup", "verify", newest, "--from", "here"), "corrupted")
		v.says(v.ship(1, "backup", "restore", "-y", newest, "--from", "here"), "corrupted", "nothing was changed")
		if now := v.rows(); now != before {
			t.Errorf("%d rows after a restore that was refused, %d before", now, before)
		}
		flip()
	})
	step("KilledWhileItSaves", func(t *testing.T) {
		list := v.backups()
		cmd := v.Command(v.ctx, "backup", "create", "big")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		v.eventually("a backup is half-way", func() bool {
			list, _ := filepath.Glob(filepath.Join(v.Dir, "backups", "saved", "big", ".aside-*"))
			for _, name := range list {
				if info, err := os.Stat(name); err == nil && info.Size() > 1<<20 {
					return true
				}
			}
			return false
		})
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if now := v.backups(); strings.Join(now, " ") != strings.Join(list, " ") {
			t.Errorf("after a backup that was killed %v is listed, %v before", now, list)
		}
	})
	step("F10KilledWhileItRestoresAndRunAgain", func(t *testing.T) {
		killed := v.watching("for the time of the swap", func(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }, "backup", "restore", "-y", newest)
		if killed.Code != -1 {
			t.Fatalf("it ended with %d before it was killed", killed.Code)
		}
		if now := v.rows(); now < least || now > before {
			t.Errorf("%d rows after a restore that was killed", now)
		}
		v.says(v.ship(0, "backup", "restore", "-y", newest, "--lock-wait", "1m"), "restored", "the data before it is "+onServer+".before-")
		if restored = v.rows(); restored < least || restored > before {
			t.Errorf("%d rows are restored, want from %d to %d", restored, least, before)
		}
		v.serves(url, "v1")
		v.settled("--var", "version=v1")
	})
	step("F11ACommandIsSavedAndRestored", func(t *testing.T) {
		note := filepath.Join(filepath.Dir(onServer), "note")
		v.on("shop", "sh", "-c", "echo old >"+note)
		v.ship(0, "backup", "create", "note")
		v.on("shop", "sh", "-c", "echo new >"+note)
		v.ship(0, "backup", "restore", "-y", "note/latest")
		if have := v.on("shop", "cat", note); have != "old\n" {
			t.Errorf("restored is %q", have)
		}
	})
	step("F19ABackupIsInAnotherSystem", func(t *testing.T) {
		endpoint := v.bucket()
		note := "backup \"note\" {\n  service = \"proxy\"\n"
		v.edit("cloudship.hcl", note, note+"  "+v.box("shop", "/srv/backups")+"\n"+
			fmt.Sprintf("  bucket \"far\" { bucket = \"backups\", prefix = \"team\", region = \"us-east-1\", endpoint = %q }\n", endpoint))
		at := filepath.Join(filepath.Dir(onServer), "note")
		v.says(v.ship(0, "backup", "create", "note"), "in box", "in far", "in here")
		for _, target := range []string{"box", "far"} {
			v.says(v.ship(0, "backup", "verify", "note/latest", "--from", target), "in "+target)
			v.on("shop", "sh", "-c", "echo lost >"+at)
			v.ship(0, "backup", "restore", "-y", "note/latest", "--from", target)
			if have := v.on("shop", "cat", at); have != "old\n" {
				t.Errorf("restored from %s is %q", target, have)
			}
		}
	})
	step("F14ANewServerHasItsDataAfterOneCommand", func(t *testing.T) {
		began := time.Now()
		v.deleteDroplet("shop") // and the box with it: what is in the bucket and here is left
		v.says(v.ship(0, "apply", "-y", "--restore", "database="+strings.TrimPrefix(newest, "database/"), "--var", "version=v1"), "which is new", "restored")
		t.Logf("a new server with its data: %s", time.Since(began).Round(time.Second))
		if now := v.rows(); now != restored {
			t.Errorf("the new server has %d rows, want %d", now, restored)
		}
		v.serves(v.url(), "v1")
		v.settled("--var", "version=v1")
	})
}

// writes has a process on the server write rows, one by one, and counts those that were acknowledged.
func (v *voyage) writes() (acked *atomic.Int64, halt func()) {
	v.t.Helper()
	acked = &atomic.Int64{}
	cmd := v.Command(v.ctx, "ssh", "shop", "--", "sh", "-c",
		`i=0; while [ ! -e /tmp/halt ]; do i=$((i+1)); sqlite3 -cmd '.timeout 20000' `+onServer+` "INSERT INTO rows VALUES($i, randomblob(3000))" && echo $i; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				acked.Store(n)
			}
		}
		_ = cmd.Wait()
	}()
	return acked, func() {
		v.t.Helper()
		v.on("shop", "touch", "/tmp/halt")
		<-ended
	}
}

// rows counts the rows of a database that must be sound.
func (v *voyage) rows() int64 {
	v.t.Helper()
	text := v.on("shop", "sqlite3", onServer, "PRAGMA integrity_check; SELECT count(*) FROM rows")
	n, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(text), "ok\n"), 10, 64)
	if err != nil {
		v.t.Fatalf("the database says %q", text)
	}
	return n
}

// backups lists the backups in the folder here.
func (v *voyage) backups() []string {
	v.t.Helper()
	var names []string
	for line := range strings.Lines(v.ship(0, "backup", "list", "--from", "here").Stdout) {
		if fields := strings.Fields(line); len(fields) > 0 {
			names = append(names, fields[0])
		}
	}
	if len(names) == 0 {
		v.t.Fatal("no backups are listed")
	}
	return names
}
