package template

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestDocumentedKeysAreTaken renders the example of docs/template-file.md.
func TestDocumentedKeysAreTaken(t *testing.T) {
	page, err := os.ReadFile("../docs/template-file.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(page), "```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !closed {
		t.Fatal("the page has no example")
	}
	compose := "services:\n  ruby: { image: ruby }\n  web:\n    build: .\n    " + strings.ReplaceAll(strings.TrimSpace(example), "\n", "\n    ") + "\n"
	rendered, err := Render(t.Context(), unpack(t, &txtar.Archive{Files: []txtar.File{
		{Name: "compose.yaml", Data: []byte(compose)}, {Name: "upstreams.sh", Data: []byte("nginx -t\n")},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	s := rendered.Release.Services["web"]
	if len(s.Hooks) != 1 || s.Probe == nil || s.Drain == nil || s.Backup == nil || s.Stateful != SingleWriter || !s.PublishAll || s.Hooks[0].Script != "nginx -t\n" {
		t.Errorf("got %s", indent(t, s))
	}
}
