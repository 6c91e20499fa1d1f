package template

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// vault holds secret values while a template is rendered. Wherever compose-go comes by, a value is
// represented by a token of two private-use runes around a number, so that it can be neither split
// nor printed; at the end tokens become ${secret:DIGEST}.
type vault struct {
	digest    func(string) string
	values    map[string]string // by digest
	sensitive map[string]bool   // digests that are to be kept out of all output, however short
	tokens    []token
}

type token struct {
	digest string
	name   string // for the reader
}

const tokenOpen, tokenClose = "\ue000", "\ue001"

var (
	tokenPattern = regexp.MustCompile(tokenOpen + `(\d{1,9})` + tokenClose)
	tornToken    = regexp.MustCompile(tokenOpen + `\d*` + tokenClose + `?|` + tokenClose)
)

func newVault(digest func(string) string) *vault {
	if digest == nil {
		key := rand.Text() // of this process only: the digests tell nothing of the values
		digest = func(value string) string {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write([]byte(value))
			return "unsealed-" + hex.EncodeToString(mac.Sum(nil))[:32]
		}
	}
	return &vault{digest: digest, values: map[string]string{}, sensitive: map[string]bool{}}
}

// hide takes a value in and gives the token that stands for it. An empty value is no secret.
func (v *vault) hide(value, name string, sensitive bool) string {
	if value == "" {
		return ""
	}
	digest := v.digest(value)
	v.values[digest] = value
	if sensitive {
		v.sensitive[digest] = true
	}
	v.tokens = append(v.tokens, token{digest, name})
	return tokenOpen + strconv.Itoa(len(v.tokens)-1) + tokenClose
}

// text turns tokens into references.
func (v *vault) text(s string) Text {
	return Text(v.replace(s, func(t token) string { return secretRef(t.digest) }))
}

func (v *vault) texts(list []string) []Text {
	if list == nil {
		return nil
	}
	texts := make([]Text, len(list))
	for i, s := range list {
		texts[i] = v.text(s)
	}
	return texts
}

// scrub turns tokens, also quoted ones, into something that may be shown.
func (v *vault) scrub(s string) string {
	s = strings.NewReplacer(`\ue000`, tokenOpen, `\ue001`, tokenClose).Replace(s)
	s = v.replace(s, func(t token) string { return "(" + t.name + ")" })
	return tornToken.ReplaceAllString(s, "(sensitive value)")
}

// names lists whose tokens a string holds.
func (v *vault) names(s string) []string {
	var names []string
	v.replace(s, func(t token) string { names = append(names, t.name); return "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// plain puts the values themselves in. What comes back is secret if s had a token.
func (v *vault) plain(s string) string {
	return v.replace(s, func(t token) string { return v.values[t.digest] })
}

func (v *vault) replace(s string, with func(token) string) string {
	if !strings.Contains(s, tokenOpen) {
		return s
	}
	return tokenPattern.ReplaceAllStringFunc(s, func(m string) string {
		i, err := strconv.Atoi(tokenPattern.FindStringSubmatch(m)[1])
		if err != nil || i >= len(v.tokens) {
			return m
		}
		return with(v.tokens[i])
	})
}

// leaks finds a token that is left in plain data, and where.
func (v *vault) leaks(value any, path []string) (at []string, names []string) {
	switch value := value.(type) {
	case string:
		if n := v.names(value); len(n) > 0 {
			return path, n
		}
	case []any:
		for i, e := range value {
			if at, names := v.leaks(e, append(slices.Clone(path), strconv.Itoa(i))); names != nil {
				return at, names
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if n := v.names(key); len(n) > 0 {
				return path, n
			}
			if at, names := v.leaks(value[key], append(slices.Clone(path), key)); names != nil {
				return at, names
			}
		}
	case fmt.Stringer:
		return v.leaks(value.String(), path)
	}
	return nil, nil
}
