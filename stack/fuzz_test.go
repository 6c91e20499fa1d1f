package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*/*.hcl")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d seeds, %v", len(files), err)
	}
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
}

// FuzzLoad: no text makes Load panic, every diagnostic has a place, and what loads can be wanted.
func FuzzLoad(f *testing.F) {
	seeds(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte) {
		s, diags := load(dir, src, Options{})
		for _, d := range diags {
			if d.Subject == nil || d.Subject.Filename == "" {
				t.Errorf("without a place: %s", d.Summary)
			}
		}
		var out bytes.Buffer
		if err := Print(&out, diags, s.Sources(), true); err != nil {
			t.Fatal(err)
		}
		s.Secrets()
		if diags.HasErrors() {
			return
		}
		digest := func(string) string { return "d" }
		if _, err := Wants(s, Selection{Digest: digest}); err != nil {
			t.Errorf("it loads and cannot be wanted: %v", err)
		}
		for _, template := range s.Templates {
			if _, diags := s.Inputs(template.Name, Facts{}); diags.HasErrors() {
				t.Errorf("it loads and its inputs do not: %v", diags)
			}
		}
		if _, diags := s.Outputs(Facts{}); diags.HasErrors() {
			t.Errorf("it loads and its outputs do not: %v", diags)
		}
	})
}

// FuzzUnfold: what is read without unfolding is left alone, and every place is inside the text.
func FuzzUnfold(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if measure(src, File) != nil {
			return
		}
		out, folds := unfold(src, File)
		for at := range len(out) + 1 {
			if o := folds.original(at); o < 0 || o > len(src) {
				t.Fatalf("byte %d of %q stands for byte %d of %q", at, out, o, src)
			}
		}
		if _, diags := hclsyntax.ParseConfig(src, File, hcl.InitialPos); !diags.HasErrors() && !bytes.Equal(out, src) {
			t.Errorf("%q is read as it is and becomes %q", src, out)
		}
	})
}

// FuzzFormat: formatting twice is formatting once.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if measure(src, File) != nil {
			return
		}
		if _, diags := hclsyntax.ParseConfig(src, File, hcl.InitialPos); diags.HasErrors() {
			return
		}
		once := Format(src)
		if _, diags := hclsyntax.ParseConfig(once, File, hcl.InitialPos); diags.HasErrors() {
			t.Errorf("%q becomes %q, which is no stack file", src, once)
		}
	})
}

// FuzzMegabytes: an amount is positive or refused.
func FuzzMegabytes(f *testing.F) {
	for _, seed := range []string{"4GB", "512 mb", "1.5G", "1e9GB", "-1GB", "", "9999999999999999TB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if mb, err := Megabytes(s); err == nil && mb < 1 {
			t.Errorf("%q is %d MB", s, mb)
		}
	})
}
