package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Keyring is where keys are looked for: first the environment, then files
// NAME.key in a folder of the user's. It never makes a key unasked.
type Keyring struct {
	Env   string // value of CLOUDSHIP_KEY: an age identity, or the path of a file with one
	Keys  string // the folder of key files
	Stack string // the stack's folder, in which no key may lie; "" is nowhere
}

// DefaultKeyring reads CLOUDSHIP_KEY and looks in the user's configuration
// folder, cloudship/keys.
func DefaultKeyring(stackFolder string) (Keyring, error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return Keyring{}, fmt.Errorf("find the folder of keys: %w", err)
	}
	return Keyring{
		Env:   os.Getenv("CLOUDSHIP_KEY"),
		Keys:  filepath.Join(config, "cloudship", "keys"),
		Stack: stackFolder,
	}, nil
}

// A NoKeyError says where a key was looked for. It is ErrNoKey.
type NoKeyError struct {
	Paths []string
}

func (e *NoKeyError) Error() string {
	return fmt.Sprintf("no sealing key: CLOUDSHIP_KEY is not set and there is no %s", strings.Join(e.Paths, " or "))
}

// Is makes a NoKeyError an ErrNoKey.
func (e *NoKeyError) Is(target error) bool { return target == ErrNoKey }

// Hint says what to do.
func (e *NoKeyError) Hint() string {
	return "get the key from whoever made the stack, into CLOUDSHIP_KEY or one of these files (mode 0600)"
}

// Load returns the key in the environment, else the first file that there is of
// these names: a stack's id, then its name. None is a *NoKeyError; a text that
// is no key is ErrWrongKey.
func (r Keyring) Load(names ...string) (*Key, error) {
	env := strings.TrimSpace(r.Env)
	if strings.HasPrefix(env, "AGE-SECRET-KEY-") {
		key, err := ParseKey(env)
		if err != nil {
			return nil, fmt.Errorf("CLOUDSHIP_KEY: %w", err)
		}
		return key, nil
	}
	if env != "" {
		key, err := r.read(env)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("CLOUDSHIP_KEY: %w: %w", ErrNoKey, err)
		}
		return key, err
	}
	var paths []string
	for _, name := range names {
		path, err := r.path(name)
		if err != nil {
			return nil, err
		}
		key, err := r.read(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		paths = append(paths, path)
	}
	return nil, &NoKeyError{Paths: paths}
}

// Make makes a key and keeps it as NAME.key, mode 0600. It returns the path as
// well. One that is there already is never replaced: that is fs.ErrExist.
func (r Keyring) Make(name string) (*Key, string, error) {
	path, err := r.path(name)
	if err != nil {
		return nil, "", err
	}
	key, err := NewKey()
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(r.Keys, 0o700); err != nil {
		return nil, "", err
	}
	if err := r.outside(path); err != nil {
		return nil, "", err
	}
	text := fmt.Sprintf("# cloudship sealing key of %s, made %s\n# Whoever loses it loses the secrets of the stack and the way into its servers.\n%s\n",
		name, time.Now().UTC().Format(time.RFC3339), key.Secret())
	if err := create(path, text); err != nil {
		return nil, "", fmt.Errorf("keep a new key: %w", full(err))
	}
	return key, path, nil
}

// create makes a file that appears whole or not at all.
func create(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// path returns the file of a name, which must be a name and no path.
func (r Keyring) path(name string) (string, error) {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("%q cannot be the name of a key", name)
	}
	return filepath.Join(r.Keys, name+".key"), nil
}

// read reads a key file: one identity, and lines that begin with #.
func (r Keyring) read(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if err := r.outside(path); err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, &KeyFileError{Path: path, Reason: fmt.Sprintf("may be read by others (mode %04o)", mode), hint: "chmod 600 " + path}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s: %w: want one age identity, have %d", path, ErrWrongKey, len(found))
	}
	key, err := ParseKey(found[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// A KeyFileError is a key file that is refused for how it is kept.
type KeyFileError struct {
	Path   string
	Reason string
	hint   string
}

func (e *KeyFileError) Error() string { return fmt.Sprintf("key file %s %s", e.Path, e.Reason) }

// Hint says what to do.
func (e *KeyFileError) Hint() string { return e.hint }

// outside refuses a path under the stack's folder, whichever way it is spelled.
func (r Keyring) outside(path string) error {
	if r.Stack == "" {
		return nil
	}
	stack, err := resolve(r.Stack)
	if err != nil {
		return err
	}
	folder, err := resolve(filepath.Dir(path))
	if err != nil {
		return err
	}
	places := []string{folder}
	if target, err := resolve(path); err == nil { // a link may lead into the stack's folder
		places = append(places, filepath.Dir(target))
	}
	for _, place := range places {
		if rel, err := filepath.Rel(stack, place); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return &KeyFileError{Path: path, Reason: "lies under the stack's folder", hint: "move it to " + r.Keys}
		}
	}
	return nil
}

func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
