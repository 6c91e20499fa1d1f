package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const buildingHere = `
stack "season" {}
build "app" {
  context = "app"
  tags    = ["{{sha}}", "latest"]
}
`

// An image says the commit that it was built from, by a label and by a tag; when the tree had changes, it
// says that as well. Engines may use their cache.
func TestF7TheImageSaysItsCommit(t *testing.T) {
	e := newPaperEngine(t)
	source, _ := newRepository(t)
	app := filepath.Join(source, "app")
	if err := os.MkdirAll(app, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"cloudship.hcl": buildingHere, "app/VERSION": "v1\n", "app/Dockerfile": "FROM scratch\nCOPY VERSION /\n"} {
		if err := os.WriteFile(filepath.Join(source, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	built := func() (label string, tags []string) {
		t.Helper()
		s, err := Open(t.Context(), Options{Dir: source, Environ: os.Environ()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := s.builds(t.Context()); err != nil {
			t.Fatal(err)
		}
		labels := map[string]string{}
		if err := json.Unmarshal([]byte(e.asked.Get("labels")), &labels); err != nil {
			t.Fatal(err)
		}
		if none := e.asked.Get("nocache"); none != "" && none != "0" {
			t.Error("the engine may not use its cache")
		}
		return labels["org.opencontainers.image.revision"], e.asked["t"]
	}
	label, _ := built()
	if !strings.HasSuffix(label, "-dirty") {
		t.Errorf("built from a changed tree, the image says %q", label)
	}
	git(t, source, "add", "--all")
	git(t, source, "commit", "--quiet", "--message", "the app")
	commit := git(t, source, "rev-parse", "HEAD")
	var tags []string
	label, tags = built()
	if label == "" || !strings.HasPrefix(commit, label) {
		t.Errorf("built from commit %s, the image says %q", commit, label)
	}
	if want := "app:" + label; !strings.Contains(strings.Join(tags, " "), want) {
		t.Errorf("its names are %q, want %s among them", tags, want)
	}
	if err := os.WriteFile(filepath.Join(app, "VERSION"), []byte("v2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if now, _ := built(); now != label+"-dirty" {
		t.Errorf("built from a changed tree, the image says %q, want %s-dirty", now, label)
	}
}
