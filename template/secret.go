package template

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

var secretPattern = regexp.MustCompile(`\$\{secret:([0-9a-zA-Z_.-]+)\}`)

// secretRef is how a text refers to a secret.
func secretRef(digest string) string { return "${secret:" + digest + "}" }

// Reveal puts the secret values into a bound service. What comes back must be stored or shown
// nowhere. A reference whose value is missing is an error; text that only looks like a reference
// to a secret that the release does not have stays as it is.
func (r *Release) Reveal(s Service, secrets map[string]string) (Service, error) {
	v := revealer{known: r.Secrets, values: secrets}
	s.Command, s.Entrypoint = v.texts(s.Command), v.texts(s.Entrypoint)
	env := make(map[string]Text, len(s.Environment))
	for name, value := range s.Environment {
		env[name] = v.text(value)
	}
	s.Environment = env
	s.Files = v.files(s.Files)
	s.Mounts = slices.Clone(s.Mounts)
	for i, m := range s.Mounts {
		s.Mounts[i].Tree = v.files(m.Tree)
	}
	if s.Healthcheck != nil {
		h := *s.Healthcheck
		h.Test = v.texts(h.Test)
		s.Healthcheck = &h
	}
	if s.Probe != nil {
		p := *s.Probe
		p.Command = v.texts(p.Command)
		s.Probe = &p
	}
	return s, v.err
}

// RevealHook puts the secret values into a bound hook.
func (r *Release) RevealHook(h Hook, secrets map[string]string) (Hook, error) {
	v := revealer{known: r.Secrets, values: secrets}
	h.Script, h.Command = v.text(h.Script), v.texts(h.Command)
	h.Args = slices.Clone(h.Args)
	for i, a := range h.Args {
		h.Args[i].Value = v.text(a.Value)
	}
	return h, v.err
}

type revealer struct {
	known  []string
	values map[string]string
	err    error
}

func (v *revealer) text(t Text) Text {
	return Text(secretPattern.ReplaceAllStringFunc(string(t), func(ref string) string {
		digest := secretPattern.FindStringSubmatch(ref)[1]
		if !slices.Contains(v.known, digest) {
			return ref
		}
		value, ok := v.values[digest]
		if !ok && v.err == nil {
			v.err = fmt.Errorf("the value of secret %s is not at hand", digest)
		}
		return value
	}))
}

func (v *revealer) texts(list []Text) []Text {
	list = slices.Clone(list)
	for i := range list {
		list[i] = v.text(list[i])
	}
	return list
}

func (v *revealer) files(list []File) []File {
	list = slices.Clone(list)
	for i := range list {
		list[i].Content = v.text(list[i].Content)
	}
	return list
}

// Bytes is the content of a revealed file.
func (f File) Bytes() ([]byte, error) {
	if !f.Base64 {
		return []byte(f.Content), nil
	}
	b, err := base64.StdEncoding.DecodeString(string(f.Content))
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", f.Path, err)
	}
	return b, nil
}

// SecretsOf lists the digests that a text refers to. Sorted, each once.
func SecretsOf(t Text) []string {
	found := map[string]bool{}
	for _, m := range secretPattern.FindAllStringSubmatch(string(t), -1) {
		found[m[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}
