package remote

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The test's server runs commands as the user of the test, so these files are
// in a folder of the test.

func TestWriteFileReplacesInOneMotion(t *testing.T) {
	h, _ := dialed(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "new folder", "it's")
	for _, content := range []string{"first", "", strings.Repeat("long\x00", 1<<20)} {
		if err := h.WriteFile(t.Context(), path, 0o640, "", []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := h.ReadFile(t.Context(), path)
		if err != nil || string(got) != content {
			t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(content))
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	names, err := h.ListDir(t.Context(), filepath.Dir(path))
	if err != nil || !slices.Equal(names, []string{"it's"}) {
		t.Errorf("names %q, %v", names, err)
	}
}

// A line that breaks while the content is on its way looks like its end to the
// host: then the old file stays, and nothing is left beside it.
func TestWriteFileKeepsTheOldFileWhenTheContentIsCut(t *testing.T) {
	h, _ := dialed(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := h.WriteFile(t.Context(), path, 0o600, "", []byte("old")); err != nil {
		t.Fatal(err)
	}
	c := writeFile(path, 0o600, "", []byte("the new content"))
	if _, err := h.Run(t.Context(), c.WithStdin([]byte("the new"))); err == nil {
		t.Error("no error")
	}
	got, err := h.ReadFile(t.Context(), path)
	if err != nil || string(got) != "old" {
		t.Errorf("read %q, %v", got, err)
	}
	if names, _ := h.ListDir(t.Context(), dir); !slices.Equal(names, []string{"file"}) {
		t.Errorf("names %q", names)
	}
}

func TestContentIsInNoCommandLine(t *testing.T) {
	c := writeFile("/etc/secret", 0o600, "", []byte("hunter2"))
	if strings.Contains(c.line("debian"), "hunter2") || strings.Contains(c.String(), "hunter2") {
		t.Errorf("it is in %s", c)
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	h, _ := dialed(t)
	path := filepath.Join(t.TempDir(), "none")
	if _, err := h.ReadFile(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read: %v", err)
	}
	if _, err := h.ListDir(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list: %v", err)
	}
	if err := h.RemoveFile(t.Context(), path); err != nil {
		t.Errorf("remove: %v", err)
	}
	if names, err := h.ListDir(t.Context(), t.TempDir()); err != nil || len(names) != 0 {
		t.Errorf("an empty folder has %q, %v", names, err)
	}
}
