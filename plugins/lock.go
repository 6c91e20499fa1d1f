package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// LockFile is the name of the file, beside the stack file, that says which plugin executables a
// stack trusts. It is meant to be committed.
const LockFile = "cloudship.lock.hcl"

// Lock is what a lock file says: by provider, the SHA-256 of its executable in hex for each
// platform ("linux_amd64"). Built-in providers are part of the program and are in no lock.
type Lock map[string]Pin

// Pin is what is trusted of one provider.
type Pin struct {
	Version string            // of the plugin when it was pinned; for the reader
	SHA256  map[string]string // by platform
}

// Platform is this machine's, in the words of a lock file.
func Platform() string { return runtime.GOOS + "_" + runtime.GOARCH }

// lockHeader stands at the top of a lock file.
const lockHeader = `# Which provider plugins this stack trusts, by the SHA-256 of their executables.
# Written by cloudship; commit it with the stack.
`

var platformForm = regexp.MustCompile(`^[a-z0-9]+_[a-z0-9]+$`)

// ReadLock reads a lock file. One that does not exist is empty.
func ReadLock(path string) (Lock, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Lock{}, nil
	}
	if err != nil {
		return nil, err
	}
	return ParseLock(b, path)
}

// ParseLock reads a lock file's text; path is for messages.
func ParseLock(b []byte, path string) (Lock, error) {
	file, diagnostics := hclsyntax.ParseConfig(b, path, hcl.InitialPos)
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	var content struct {
		Providers []struct {
			Name    string            `hcl:"name,label"`
			Version string            `hcl:"version,optional"`
			SHA256  map[string]string `hcl:"sha256"`
		} `hcl:"provider,block"`
	}
	if diagnostics := gohcl.DecodeBody(file.Body, nil, &content); diagnostics.HasErrors() {
		return nil, diagnostics
	}
	lock := Lock{}
	for _, p := range content.Providers {
		if _, twice := lock[p.Name]; twice {
			return nil, fmt.Errorf("%s: provider %q stands there twice", path, p.Name)
		}
		if !pluginName.MatchString(p.Name) {
			return nil, fmt.Errorf("%s: %q is no name of a provider", path, p.Name)
		}
		for platform, sum := range p.SHA256 {
			if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
				return nil, fmt.Errorf("%s: provider %q: %q is no SHA-256 in hex", path, p.Name, sum)
			}
			if !platformForm.MatchString(platform) {
				return nil, fmt.Errorf("%s: provider %q: %q is no platform such as %q", path, p.Name, platform, Platform())
			}
		}
		lock[p.Name] = Pin{Version: p.Version, SHA256: p.SHA256}
	}
	return lock, nil
}

// Bytes is the lock file's text; the same lock gives the same bytes.
func (l Lock) Bytes() []byte {
	f := hclwrite.NewEmptyFile()
	for _, name := range slices.Sorted(maps.Keys(l)) {
		f.Body().AppendNewline()
		block := f.Body().AppendNewBlock("provider", []string{name}).Body()
		if l[name].Version != "" {
			block.SetAttributeValue("version", cty.StringVal(l[name].Version))
		}
		sums := map[string]cty.Value{}
		for platform, sum := range l[name].SHA256 {
			sums[platform] = cty.StringVal(sum)
		}
		block.SetAttributeValue("sha256", cty.ObjectVal(sums))
	}
	return append([]byte(lockHeader), hclwrite.Format(f.Bytes())...)
}

// Write replaces a lock file in one motion.
func (l Lock) Write(path string) error {
	aside, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(aside.Name())
	_, err = aside.Write(l.Bytes())
	if err = errors.Join(err, aside.Chmod(0o644), aside.Sync(), aside.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(aside.Name(), path)
}

// Pin trusts an executable as it is now, on this machine's platform. What is trusted of the same
// version on other platforms stays.
func (l Lock) Pin(name, version, executable string) error {
	sum, err := Checksum(executable)
	if err != nil {
		return err
	}
	pin := Pin{Version: version, SHA256: map[string]string{}}
	if old, ok := l[name]; ok && old.Version == version {
		maps.Copy(pin.SHA256, old.SHA256)
	}
	pin.SHA256[Platform()] = sum
	l[name] = pin
	return nil
}

// Checksum is the SHA-256 of a file in hex.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
