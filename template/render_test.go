package template

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite what the golden files expect")

// digest is a keyed digest as the engine gives one.
func digest(value string) string {
	mac := hmac.New(sha256.New, []byte("key of the test"))
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil))[:16]
}

func random(place string, length int) (string, error) {
	return strings.Repeat(digest(place), 20)[:length], nil
}

// unpack writes the files of an archive into a folder and reads its options: lines "input NAME=VALUE",
// "sensitive NAME=VALUE", "profile NAME", "compose FILE", "project NAME"; other lines are remarks.
func unpack(t testing.TB, a *txtar.Archive) Options {
	t.Helper()
	o := Options{Name: "web", Dir: t.TempDir(), Inputs: map[string]Input{}, Digest: digest, Random: random}
	for line := range strings.Lines(string(a.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, value, _ := strings.Cut(rest, "=")
		switch word {
		case "input", "sensitive":
			o.Inputs[name] = Input{Value: value, Sensitive: word == "sensitive"}
		case "profile":
			o.Profiles = append(o.Profiles, rest)
		case "compose":
			o.Compose = append(o.Compose, rest)
		case "project":
			o.Project = rest
		}
	}
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "want.") {
			continue
		}
		path := filepath.Join(o.Dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// TestRender renders every testdata/*.txtar and compares the document, or the diagnostics. Each is
// rewritten by go test ./template -update.
func TestRender(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := unpack(t, archive)
			got := map[string]string{}
			rendered, err := Render(t.Context(), o)
			if err != nil {
				var diagnostics Diagnostics
				if !errors.As(err, &diagnostics) {
					t.Fatalf("error is no Diagnostics: %v", err)
				}
				for _, d := range diagnostics {
					if d.Place.File == "" || d.Place.Line == 0 {
						t.Errorf("no place: %s", d.Text())
					}
				}
				got["want.errors"] = strings.ReplaceAll(diagnostics.Error(), o.Dir, "DIR") + "\n"
			} else {
				got["want.json"] = indent(t, rendered.Release)
				if len(rendered.Warnings) > 0 {
					got["want.warnings"] = rendered.Warnings.Error() + "\n"
				}
				if len(rendered.Builds) > 0 {
					got["want.builds"] = strings.ReplaceAll(indent(t, rendered.Builds), o.Dir, "DIR")
				}
				var outline strings.Builder
				if err := rendered.Release.Outline(&outline); err != nil {
					t.Error(err)
				}
				got["want.outline"] = outline.String()
				roundTrip(t, rendered)
			}
			if *update {
				rewrite(t, path, archive, got)
				return
			}
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "want.") && got[f.Name] == "" {
					t.Errorf("%s: got nothing", f.Name)
				}
			}
			for name, text := range got {
				if want := section(archive, name); want != text {
					t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
				}
			}
		})
	}
}

// roundTrip checks what must hold for every release.
func roundTrip(t *testing.T, rendered *Rendered) {
	t.Helper()
	document, err := rendered.Release.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(document)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || !bytes.Equal(document, again) {
		t.Errorf("document changes by reading it: %v\n%s\n%s", err, document, again)
	}
	if id, err := back.ID(); err != nil || id != rendered.ID {
		t.Errorf("id is %s after reading, was %s (%v)", id, rendered.ID, err)
	}
	order, err := back.Order()
	if err != nil || len(order) != len(back.Services) {
		t.Errorf("order %v: %v", order, err)
	}
	for _, d := range back.Secrets {
		if rendered.Secrets[d] == "" {
			t.Errorf("secret %s has no value", d)
		}
	}
}

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func rewrite(t *testing.T, path string, a *txtar.Archive, got map[string]string) {
	t.Helper()
	out := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "want.") {
			out.Files = append(out.Files, f)
		}
	}
	for _, name := range sortedKeys(got) {
		out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(got[name])})
	}
	if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

func indent(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
