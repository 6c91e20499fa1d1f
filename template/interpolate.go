package template

import (
	"fmt"
	"regexp"
	"strings"
)

// unsetError says that a variable of a Compose file has no value.
type unsetError struct {
	name   string
	reason string // the user's own, after ${NAME:?
}

func (e *unsetError) Error() string {
	if e.reason != "" {
		return fmt.Sprintf("variable %s is not set: %s", e.name, e.reason)
	}
	return fmt.Sprintf("variable %s is not set", e.name)
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)

// substitute puts variables into a string of a Compose file: $NAME, ${NAME}, ${NAME:-default},
// ${NAME-default}, ${NAME:+other}, ${NAME+other}, ${NAME:?reason}, ${NAME?reason}, nested, and $$
// for a dollar. Unlike Compose, which goes on with nothing, a plain variable that is not set is an
// error.
func substitute(s string, lookup func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		at := strings.IndexByte(s, '$')
		if at < 0 {
			out.WriteString(s)
			return out.String(), nil
		}
		out.WriteString(s[:at])
		s = s[at+1:]
		name := variableName.FindString(s)
		switch {
		case strings.HasPrefix(s, "$"):
			out.WriteByte('$')
			s = s[1:]
		case name != "":
			value, ok := lookup(name)
			if !ok {
				return "", &unsetError{name: name}
			}
			out.WriteString(value)
			s = s[len(name):]
		case strings.HasPrefix(s, "{"):
			end := closing(s)
			if end < 0 {
				return "", fmt.Errorf("${ is never closed; a plain dollar is written $$")
			}
			value, err := expand(s[1:end], lookup)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = s[end+1:]
		default:
			return "", fmt.Errorf("a dollar that starts no variable is written $$")
		}
	}
}

// closing is the index of the brace that closes the one at the start of s, or -1.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '$':
			if i+1 < len(s) && s[i+1] == '{' {
				depth++
				i++
			}
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// expand works out what stands between ${ and }.
func expand(body string, lookup func(string) (string, bool)) (string, error) {
	name := variableName.FindString(body)
	rest := body[len(name):]
	if name == "" {
		return "", fmt.Errorf("${%s} names no variable; a plain dollar is written $$", body)
	}
	value, set := lookup(name)
	operator := strings.TrimPrefix(rest, ":")
	full := set && (operator == rest || value != "") // with a colon, empty counts as not set
	switch {
	case rest == "":
		if !set {
			return "", &unsetError{name: name}
		}
		return value, nil
	case strings.HasPrefix(operator, "-"):
		if full {
			return value, nil
		}
		return substitute(operator[1:], lookup)
	case strings.HasPrefix(operator, "+"):
		if !full {
			return "", nil
		}
		return substitute(operator[1:], lookup)
	case strings.HasPrefix(operator, "?"):
		if full {
			return value, nil
		}
		reason, err := substitute(operator[1:], lookup)
		if err != nil {
			return "", err
		}
		return "", &unsetError{name: name, reason: reason}
	}
	return "", fmt.Errorf("${%s}: want -, + or ? after the name, with or without a colon", body)
}
