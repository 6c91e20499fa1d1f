package template

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestImportDCHQ imports every testdata/dchq/*.txtar, and renders what came out.
func TestImportDCHQ(t *testing.T) {
	paths, err := filepath.Glob("testdata/dchq/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			compose, notes, err := ImportDCHQ(strings.NewReader(section(archive, "dchq.yaml")))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"want.compose.yaml": string(compose), "want.notes": strings.Join(notes, "\n") + "\n"}
			if *update {
				rewrite(t, path, archive, got)
			}
			for name, text := range got {
				if want := section(archive, name); want != text && !*update {
					t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
				}
			}
			if strings.Contains(string(archive.Comment), "not rendered") {
				return
			}
			o := unpack(t, &txtar.Archive{Files: []txtar.File{{Name: "compose.yaml", Data: compose}}})
			for _, script := range regexp.MustCompile(`plugins/\S+\.sh`).FindAllString(string(compose), -1) {
				file := filepath.Join(o.Dir, script)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("echo $servers\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			rendered, err := Render(t.Context(), o)
			if err != nil {
				t.Fatalf("what was imported cannot be rendered: %v\n%s", err, compose)
			}
			roundTrip(t, rendered)
		})
	}
}

func FuzzImportDCHQ(f *testing.F) {
	for _, seed := range []string{"", "a: 1", "a: {image: b, plugins: [!plugin {id: c}]}", "a: {environment: [B={{a|ip}}]}", "a: {links: [a:b], volumes: [x:/y], host: [host1, h2]}", "a: {environment: {B: }}", "a: {image: &x [*x]}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		compose, _, err := ImportDCHQ(bytes.NewReader(b))
		if err == nil && !bytes.HasPrefix(compose, []byte("services:")) {
			t.Fatalf("got %q", compose)
		}
	})
}
