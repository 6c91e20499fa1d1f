package stack

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMistakesAreAnswered loads every file of testdata/bad and compares what is printed with the
// golden file beside it.
func TestMistakesAreAnswered(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.hcl")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".hcl"), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, diags := load(t.TempDir(), src, Options{})
			if len(diags) == 0 {
				t.Fatal("it is accepted")
			}
			compare(t, strings.TrimSuffix(path, ".hcl")+".golden", printed(t, s, diags))
		})
	}
}

// printed is what a user sees of diagnostics, each of which must have a place.
func printed(t *testing.T, s *Stack, diags hcl.Diagnostics) string {
	t.Helper()
	for _, d := range diags {
		if d.Subject == nil || d.Subject.Filename == "" {
			t.Errorf("without a place: %s", d.Summary)
		}
	}
	var b strings.Builder
	if err := Print(&b, diags, s.Sources(), false); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), s.Dir, "DIR")
}

// compare compares a text with a golden file, which -update rewrites.
func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", golden, got, want)
	}
}
