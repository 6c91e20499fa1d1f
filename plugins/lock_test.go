package plugins

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

func TestLockIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), LockFile)
	empty, err := ReadLock(path)
	if err != nil || len(empty) != 0 {
		t.Errorf("a lock file that does not exist: %v %v", empty, err)
	}
	sum := strings.Repeat("ab", 32)
	want := Lock{"acme": {Version: "1.2.0", SHA256: map[string]string{"linux_amd64": sum, "darwin_arm64": sum}}, "best": {SHA256: map[string]string{"linux_amd64": sum}}}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	have, err := ReadLock(path)
	if err != nil || !reflect.DeepEqual(want, have) {
		t.Errorf("want %v, have %v, %v", want, have, err)
	}
	if string(have.Bytes()) != string(want.Bytes()) {
		t.Error("equal locks have different bytes")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the lock file: %v %v", entries, err)
	}
}

func TestBadLocksAreRefused(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"syntax":       `provider "a" {`,
		"unknown":      `provider "a" { sha512 = {} }`,
		"short sum":    `provider "a" { sha256 = { linux_amd64 = "abcd" } }`,
		"twice":        `provider "a" { sha256 = { linux_amd64 = "` + sum + `" }` + "}\n" + `provider "a" { sha256 = {} }`,
		"path in name": `provider "../a" { sha256 = {} }`,
		"platform":     `provider "a" { sha256 = { linux = "` + sum + `" } }`,
	} {
		if lock, err := ParseLock([]byte(text), "lock"); err == nil {
			t.Errorf("%s: read as %v", name, lock)
		}
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte(lockHeader + `provider "a" { sha256 = { linux_amd64 = "` + strings.Repeat("ab", 32) + `" } }`))
	f.Add([]byte(`provider "a" { version = null, sha256 = { linux_amd64 = 1 } }`))
	f.Fuzz(func(t *testing.T, b []byte) {
		lock, err := ParseLock(b, "lock")
		if err != nil {
			return
		}
		again, err := ParseLock(lock.Bytes(), "lock")
		if err != nil || len(again) != len(lock) {
			t.Errorf("%q is read, and not when it is written again: %v", b, err)
		}
	})
}

// external puts a provider's executable, which is this test binary, into a folder.
func external(t *testing.T) (dir, executable string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	executable = filepath.Join(dir, Executable+"acme")
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(executable, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, executable
}

func TestExternalProviderRunsOnlyAsItWasPinned(t *testing.T) {
	dir, executable := external(t)
	lock, stack := Lock{}, t.TempDir()
	if _, err := Find(stack, "acme", []string{dir}); err == nil || !strings.Contains(resource.HintOf(err), "plugin pin acme") {
		t.Errorf("a provider that is not pinned: %v, hint %q", err, resource.HintOf(err))
	}
	if err := lock.Pin("acme", "1.0.0", executable); err != nil {
		t.Fatal(err)
	}
	if err := lock.Write(filepath.Join(stack, LockFile)); err != nil {
		t.Fatal(err)
	}
	source, err := Find(stack, "acme", []string{"relative", dir})
	if err != nil || source.Path != executable {
		t.Fatalf("%+v %v", source, err)
	}
	source.Stderr = t.Output()
	c, err := Start(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := c.Schema(t.Context())
	if err != nil || schema.Name != "memo" {
		t.Errorf("schema of the external provider: %+v %v", schema, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(executable, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("changed"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := Start(t.Context(), source); err == nil {
		_ = c.Close()
		t.Error("a changed executable was started")
	}
}

func TestUnknownProviderIsToldWithWhereItWasLookedFor(t *testing.T) {
	dir := t.TempDir()
	_, err := Find(dir, "nimbus", []string{dir})
	if resource.KindOf(err) != resource.Invalid || !strings.Contains(resource.HintOf(err), dir) {
		t.Errorf("%v, hint %q", err, resource.HintOf(err))
	}
	for _, name := range []string{"../../bin/sh", "", "UPPER", "a/b"} {
		if _, err := Find(dir, name, []string{dir}); resource.KindOf(err) != resource.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}
