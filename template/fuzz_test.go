package template

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzRender: whatever the Compose file is, there is no panic, and every diagnostic knows at least
// its file.
func FuzzRender(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(section(archive, "compose.yaml"))
	}
	for _, seed := range []string{"", "a", "[]", "services:", "services: {a: }", "services: {a: {image: x, environment: [A, 1, null]}}", "&a [*a]", "a: &a {b: *a}", "--- {}\n--- {}", "services: {a: {image: x, volumes: [{}]}}", "\x00", "services: {a: {extends: a}}", "x-cloudship: 1", "services: {a: {image: x, x-cloudship: {hooks: [1, {on: {}}]}}}"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, compose string) {
		file := filepath.Join(dir, "compose.yaml")
		if err := os.WriteFile(file, []byte(compose), 0o644); err != nil {
			t.Fatal(err)
		}
		o := Options{Name: "web", Dir: dir, Inputs: map[string]Input{"TAG": {Value: "1"}, "PW": {Value: "secret", Sensitive: true}}, Digest: digest, Random: random}
		rendered, err := Render(t.Context(), o)
		if err == nil {
			roundTrip(t, rendered)
			return
		}
		var diagnostics Diagnostics
		if !errors.As(err, &diagnostics) || len(diagnostics) == 0 {
			t.Fatalf("error is no Diagnostics: %v", err)
		}
		for _, d := range diagnostics {
			if d.Place.File == "" {
				t.Fatalf("no file: %s", d.Text())
			}
		}
	})
}

func TestSubstitute(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "1", "EMPTY": "", "B": "${A}"}[name]
		return v, ok
	}
	for _, test := range []struct{ in, want string }{
		{"", ""}, {"a", "a"}, {"$A", "1"}, {"${A}x", "1x"}, {"$$A", "$A"}, {"$${A}", "${A}"}, {"{{ a | b }}", "{{ a | b }}"},
		{"${B}", "${A}"}, {"${X:-d}", "d"}, {"${X-d}", "d"}, {"${EMPTY:-d}", "d"}, {"${EMPTY-d}", ""}, {"${A:-d}", "1"},
		{"${A:+y}", "y"}, {"${X:+y}", ""}, {"${EMPTY:+y}", ""}, {"${EMPTY+y}", "y"}, {"${A:?no}", "1"}, {"${EMPTY?no}", ""},
		{"${X:-${Y:-${A}}}-${A}", "1-1"}, {"${X:-{a}}", "{a}"}, {"${A} and ${X:-d} and $A", "1 and d and 1"}, {"${X:-}", ""},
	} {
		if got, err := substitute(test.in, lookup); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.in, got, err, test.want)
		}
	}
	for _, in := range []string{"$X", "${X}", "${X:?no}", "${EMPTY:?no}", "${A", "$", "a $ b", "${}", "${1}", "${A!}", "${X:-${Y}}"} {
		if got, err := substitute(in, lookup); err == nil {
			t.Errorf("%s: got %q, want an error", in, got)
		}
	}
}
