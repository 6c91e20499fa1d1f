package image

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestContentHashFollowsEverything(t *testing.T) {
	dir := func() map[string][]byte { return map[string][]byte{"a": []byte("1"), "b": []byte("2")} }
	base := contentHash("id", dir())
	if again := contentHash("id", dir()); again != base {
		t.Error("the same content has two hashes")
	}
	changed := dir()
	changed["b"] = []byte("3")
	renamed := map[string][]byte{"a": []byte("1"), "c": []byte("2")}
	for name, hash := range map[string]string{
		"another base": contentHash("other", dir()),
		"another file": contentHash("id", changed),
		"another name": contentHash("id", renamed),
	} {
		if hash == base {
			t.Errorf("%s: same hash", name)
		}
	}
}

func TestSameFilesAreTheSameArchive(t *testing.T) {
	m := &maker{}
	var archives []string
	for range 2 {
		dir, err := m.buildFiles(recipes["debian-12-x64"])
		if err != nil {
			t.Fatal(err)
		}
		if dir["Dockerfile"] == nil || dir["files/usr/local/lib/cloudship-lab/boot"] == nil {
			t.Fatal("files are missing")
		}
		archive, err := tarOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, string(data))
	}
	if archives[0] != archives[1] {
		t.Error("two archives of the same files differ")
	}
}

func TestReadMessages(t *testing.T) {
	var lines []string
	err := readMessages(strings.NewReader(`{"stream":"Step 1/2 : FROM x\n"}{"stream":"\n"}{"aux":{"ID":"sha256:1"}}`),
		func(line string) { lines = append(lines, line) })
	if err != nil || !slices.Equal(lines, []string{"Step 1/2 : FROM x"}) {
		t.Errorf("lines %q, error %v", lines, err)
	}
	err = readMessages(strings.NewReader(`{"stream":"E: no such package"}{"error":"exit 100","errorDetail":{"code":100,"message":"exit 100"}}`), nil)
	if err == nil || !strings.Contains(err.Error(), "exit 100") || !strings.Contains(err.Error(), "no such package") {
		t.Errorf("error %v, want what was printed before it", err)
	}
	if err = readMessages(strings.NewReader(`{"stream":`), nil); err == nil {
		t.Error("an answer that breaks off is no success")
	}
}

func TestUnknownSlugIsRefusedWithoutAnEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	_, err := Ensure(t.Context(), "beos-5", nil)
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "debian-12-x64") {
		t.Errorf("error %v, want ErrUnknown and the names that there are", err)
	}
}

func TestRecipesAreComplete(t *testing.T) {
	for slug, r := range recipes {
		if _, ok := bases[r.codename]; !ok {
			t.Errorf("%s: no base %s", slug, r.codename)
		}
		if _, ok := recipes[r.from]; r.from != "" && !ok {
			t.Errorf("%s: starts from %s, which is not there", slug, r.from)
		}
		if _, err := files.ReadFile("server/" + r.dockerfile); err != nil {
			t.Errorf("%s: %v", slug, err)
		}
	}
}
