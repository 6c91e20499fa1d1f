package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// What we show must be right: the README's stack file and those of examples/ are valid and laid out.
func TestWhatWeShowIsValid(t *testing.T) {
	dirs, err := filepath.Glob("../../examples/*/" + stack.File)
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for i, file := range dirs {
		dirs[i] = filepath.Dir(file)
	}
	for _, dir := range append(dirs, readme(t)) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join(dir, stack.File))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(src, stack.Format(src)) {
				t.Error("'cloudship fmt' would change it")
			}
			_, found, err := engine.Validate(t.Context(), engine.Options{Dir: dir, Looking: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range found {
				if d.Severity == template.SeverityError {
					t.Error(d.Text())
				}
			}
		})
	}
}

// readme is a folder with the README's stack file and a Compose file for it.
func readme(t *testing.T) string {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```hcl\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README shows no stack file")
	}
	dir := filepath.Join(t.TempDir(), "readme")
	compose := "services:\n  web:\n    image: nginx:${TAG}\n    environment: {DATABASE: \"${DATABASE_URL}\"}\n"
	for name, content := range map[string]string{stack.File: text, "compose.yaml": compose} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
