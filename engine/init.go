package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
	"github.com/cloudship/cloudship/template"
)

// starterCompose is the application of a first stack, where the folder has no Compose file yet.
const starterCompose = `# Your application: plain Compose. 'cloudship template lint' tells what cloudship makes of it.
services:
  web:
    image: nginx:${TAG}
    ports: ["80:80"]
    healthcheck:
      test: ["CMD-SHELL", "curl -fsS http://127.0.0.1/ || exit 1"]
      interval: 5s
`

// Init writes a first stack into a folder and gives the names of the files that it wrote or
// extended. Where there is a stack file already it writes nothing: the error is fs.ErrExist. A
// Compose file that is there is left as it is.
func Init(dir, name, provider string) ([]string, error) {
	if !resource.Label.MatchString(name) || len(name) > resource.MaxLabel {
		return nil, fmt.Errorf("%q cannot be a stack's name: want small letters, digits and dashes, a letter first, %d at most", name, resource.MaxLabel)
	}
	if _, err := os.Stat(filepath.Join(dir, stack.File)); err == nil {
		return nil, resource.WithHint(fmt.Errorf("%s: %w", filepath.Join(dir, stack.File), fs.ErrExist), "a stack is here already; 'cloudship plan' shows what it wants")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the stack's folder: %w", err)
	}
	files := stack.InitFiles(name, provider)
	if !hasCompose(dir) {
		files = append(files, stack.InitFile{Name: template.FileNames()[0], Content: starterCompose})
	}
	var written []string
	for _, f := range files {
		did, err := writeStarter(filepath.Join(dir, f.Name), f)
		if err != nil {
			return written, fmt.Errorf("write %s: %w", f.Name, err)
		}
		if did {
			written = append(written, f.Name)
		}
	}
	return written, nil
}

// NameFor is the stack's name that a folder's own name suggests.
func NameFor(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "app"
	}
	name := regexp.MustCompile(`[^a-z0-9-]+`).ReplaceAllString(strings.ToLower(filepath.Base(abs)), "-")
	name = strings.Trim(strings.TrimLeft(name, "-0123456789"), "-")
	if name == "" {
		return "app"
	}
	return name[:min(len(name), resource.MaxLabel)]
}

// MakeKey makes a stack's sealing key where there is none, and gives the path of its file; empty
// where there was one.
func MakeKey(dir, name string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	ring, err := state.DefaultKeyring(dir)
	if err != nil {
		return "", err
	}
	if _, err := ring.Load(name); !errors.Is(err, state.ErrNoKey) {
		return "", err
	}
	_, path, err := ring.Make(name)
	return path, err
}

func hasCompose(dir string) bool {
	for _, name := range template.FileNames() {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// writeStarter makes a file, or adds to it the lines that it lacks.
func writeStarter(path string, f stack.InitFile) (bool, error) {
	if !f.Append {
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return false, err
		}
		_, err = out.WriteString(f.Content)
		return true, errors.Join(err, out.Close())
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	text := string(old)
	have := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		have[strings.TrimSpace(line)] = true
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	added := false
	for _, line := range strings.Split(strings.TrimRight(f.Content, "\n"), "\n") {
		if !have[line] {
			text, added = text+line+"\n", true
		}
	}
	if !added {
		return false, nil
	}
	return true, os.WriteFile(path, []byte(text), 0o644)
}
