package template

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
)

// configFile is the content of a top-level config.
func (c *converter) configFile(at []string, key string) (File, bool) {
	config, ok := c.project.Configs[key]
	if !ok {
		c.errorf(at, "unknown config %q", key)
		return File{}, false
	}
	where := []string{"configs", key}
	x := c.extension(append(slices.Clone(where), keyExtension), config.Extensions)
	render, said := x.flag("render")
	x.done()
	if !said {
		render = config.Content != "" && config.Environment == ""
	}
	var f File
	switch {
	case config.File != "":
		f, ok = c.localFile(append(where, "file"), config.File, false)
		if !ok {
			return f, false
		}
	case config.Environment != "":
		value, set := c.env[config.Environment]
		if !set {
			c.unset(append(where, "environment"), "configs."+key, config.Environment)
			return f, false
		}
		f.Content = c.vault.text(value)
	default:
		f.Content = c.vault.text(config.Content)
	}
	f.Mode = 0o444
	f.Bound = render && !f.Base64 && len(f.Content.Refs()) > 0
	return f, true
}

// secretFile is the content of a top-level secret: a reference to it.
func (c *converter) secretFile(at []string, key string) (File, bool) {
	secret, ok := c.project.Secrets[key]
	if !ok {
		c.errorf(at, "unknown secret %q", key)
		return File{}, false
	}
	where := []string{"secrets", key}
	if secret.File != "" {
		f, ok := c.localFile(append(where, "file"), secret.File, true)
		f.Secret, f.Mode = true, 0o444
		return f, ok
	}
	value, set := c.env[secret.Environment]
	if !set {
		c.unset(append(where, "environment"), "secrets."+key, secret.Environment)
		return File{}, false
	}
	token := c.vault.hide(c.vault.plain(value), "secret "+key, true)
	return File{Content: c.vault.text(token), Secret: true, Mode: 0o444}, true
}

func (c *converter) unset(at []string, what, name string) {
	c.errorf(at, "%s: variable %s is not set%s", what, name, didYouMean(name, sortedKeys(c.env)...)).Hint = "give it in the template block: inputs = { " + name + ` = "..." }`
}

func (c *converter) localFile(at []string, name string, hidden bool) (File, bool) {
	info, err := os.Stat(name)
	if err != nil {
		c.errorf(at, "%s: %s cannot be read: %v", strings.Join(at, "."), c.sources.display(name), bare(err))
		return File{}, false
	}
	return c.readFile(at, name, info, hidden)
}

// readFile reads a file of this machine. Hidden content is in the release by digest only.
func (c *converter) readFile(at []string, name string, info fs.FileInfo, hidden bool) (File, bool) {
	shown := c.sources.display(name)
	b, err := readRegular(name, maxFile)
	if err != nil {
		c.errorf(at, "%s: %s cannot be read: %v", strings.Join(at, "."), shown, bare(err))
		return File{}, false
	}
	f := File{Mode: 0o644} // of the mode only what git keeps: the umask of who renders must not change the release
	if info.Mode().Perm()&0o100 != 0 {
		f.Mode = 0o755
	}
	text := string(b)
	if !utf8.ValidString(text) || strings.Contains(text, tokenOpen) {
		f.Base64, text = true, base64.StdEncoding.EncodeToString(b)
	}
	f.Content = Text(text)
	if hidden {
		f.Content = c.vault.text(c.vault.hide(text, "content of "+shown, strings.HasPrefix(at[0], "secrets")))
	}
	return f, true
}

var number = regexp.MustCompile(`^\d{1,9}$`)

// place says where in a container a config or secret goes, with which owner and mode.
func (c *converter) place(at []string, f File, ref types.FileReferenceConfig, dir string) File {
	target := ref.Target
	if target == "" {
		target = ref.Source
	}
	if !path.IsAbs(target) {
		target = dir + target
	}
	f.Path = path.Clean(target)
	f.UID, f.GID = ref.UID, ref.GID
	for _, id := range []string{ref.UID, ref.GID} {
		if id != "" && !number.MatchString(id) {
			c.errorf(at, "%s: uid and gid are numbers, not %q", strings.Join(at, "."), id)
		}
	}
	if ref.Mode != nil {
		f.Mode = uint32(*ref.Mode) & 0o7777
	}
	return f
}

// environment joins env_file and environment, the latter over the former. What env files hold is
// in the release by digest only.
func (c *converter) environment(at []string, in types.ServiceConfig) map[string]Text {
	out := map[string]Text{}
	for i, file := range in.EnvFiles {
		where := append(slices.Clone(at), "env_file", strconv.Itoa(i))
		for name, value := range c.envFile(where, file, in) {
			out[name] = c.hideValue(name, value)
		}
	}
	for _, name := range sortedKeys(in.Environment) {
		value := in.Environment[name]
		if value == nil {
			v, ok := c.env[name]
			if !ok {
				c.unset(append(slices.Clone(at), "environment", name), strings.Join(at, ".")+".environment", name)
				continue
			}
			value = &v
		}
		out[name] = c.vault.text(*value)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (c *converter) envFile(at []string, file types.EnvFile, in types.ServiceConfig) map[string]string {
	shown := c.sources.display(file.Path)
	b, err := readRegular(file.Path, maxFile)
	if errors.Is(err, fs.ErrNotExist) && !bool(file.Required) {
		return nil
	}
	if err != nil {
		c.errorf(at, "%s: %s cannot be read: %v", strings.Join(at, "."), shown, bare(err)).Hint = "a file that may be missing is written { path: " + shown + ", required: false }"
		return nil
	}
	lookup := func(name string) (string, bool) {
		if v, ok := c.env[name]; ok {
			return v, true
		}
		if v := in.Environment[name]; v != nil {
			return *v, true
		}
		return "", false
	}
	vars := map[string]string{}
	if err := dotenv.ParseWithFormat(bytes.NewReader(b), shown, vars, lookup, file.Format); err != nil {
		c.errorf(at, "%s: %s is no env file: a line is not NAME=VALUE, or a quote is never closed", strings.Join(at, "."), shown)
		return nil
	}
	return vars
}

// hideValue takes everything but late references out of a value.
func (c *converter) hideValue(name, value string) Text {
	var out strings.Builder
	for _, p := range parse(Text(value)) {
		if p.ref != (Ref{}) {
			out.WriteString(p.ref.String())
			continue
		}
		out.WriteString(c.vault.hide(c.vault.plain(p.text), name+" of an env file", len(c.vault.names(p.text)) > 0 || telling(name, p.text)))
	}
	return c.vault.text(out.String())
}

var (
	tellingName = regexp.MustCompile(`(?i)pass|pwd|secret|token|key|credential|private|auth|salt|dsn`)
	tellingURL  = regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@`)
)

// telling reports whether a value of an env file is a secret rather than a setting, by its name,
// a password in a URL, or its length: everything in env files is in the release by digest only,
// but words such as "info" cannot be kept out of all output.
func telling(name, value string) bool {
	return tellingName.MatchString(name) || tellingURL.MatchString(value) || len(value) >= 20
}
