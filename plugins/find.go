package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// Executable is what the executable of an external provider is called, before its name.
const Executable = "cloudship-provider-"

// PathVariable names folders in which external providers are looked for first, separated as in
// PATH.
const PathVariable = "CLOUDSHIP_PLUGIN_PATH"

// pluginName is what a provider may be called; it becomes part of a file's name.
var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// Path lists the folders in which external providers are looked for, in their order: those that
// the environment names, then the user's own.
func Path(lookupEnv func(string) (string, bool)) []string {
	var dirs []string
	if named, ok := lookupEnv(PathVariable); ok {
		dirs = append(dirs, filepath.SplitList(named)...)
	}
	if data, ok := lookupEnv("XDG_DATA_HOME"); ok && filepath.IsAbs(data) {
		dirs = append(dirs, filepath.Join(data, "cloudship", "plugins"))
	} else if home, ok := lookupEnv("HOME"); ok && filepath.IsAbs(home) {
		dirs = append(dirs, filepath.Join(home, ".local", "share", "cloudship", "plugins"))
	}
	return dirs
}

// Find finds an external provider: the executable on the path, as the lock file in the stack's
// folder pins it. One that is not pinned is refused: its code would get the credentials.
func Find(dir, name string, path []string) (Source, error) {
	executable, err := Look(name, path)
	if err != nil {
		return Source{}, err
	}
	lock, err := ReadLock(filepath.Join(dir, LockFile))
	if err != nil {
		return Source{}, err
	}
	sum, ok := lock[name].SHA256[Platform()]
	if !ok {
		return Source{}, &resource.Error{Kind: resource.Invalid, Op: "provider " + name,
			Message: fmt.Sprintf("%s is not pinned in %s for %s", executable, LockFile, Platform()),
			Hint:    fmt.Sprintf("if you trust this file: cloudship plugin pin %s", name)}
	}
	return Source{Name: name, Path: executable, SHA256: sum}, nil
}

// Look finds the executable of an external provider.
func Look(name string, path []string) (string, error) {
	if !pluginName.MatchString(name) {
		return "", &resource.Error{Kind: resource.Invalid, Op: "provider " + name, Message: fmt.Sprintf("%q is no name of a provider", name),
			Hint: "a name has small letters, digits and dashes"}
	}
	for _, dir := range path {
		file := filepath.Join(dir, Executable+name)
		if !filepath.IsAbs(file) {
			continue // a folder that depends on where one stands is nobody's choice
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &resource.Error{Kind: resource.Invalid, Op: "provider " + name, Message: fmt.Sprintf("there is no executable %s%s on the plugin path", Executable, name),
		Hint: fmt.Sprintf("put it into one of %s, or name its folder in %s", strings.Join(path, ", "), PathVariable)}
}
