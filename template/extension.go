package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/xhit/go-str2duration/v2"
)

// keyExtension is the key under which everything stands that Compose lacks.
const keyExtension = "x-cloudship"

// extension reads a mapping below x-cloudship: every key that is asked for is known, all others
// are reported by done.
type extension struct {
	*report
	path  []string
	m     map[string]any
	known []string
	ports [2]int // of the project: the range for random host ports
}

func (c *converter) extension(path []string, in types.Extensions) extension {
	for _, key := range sortedKeys(in) {
		if key != keyExtension && levenshtein.Distance(key, keyExtension, nil) < 3 {
			at := append(slices.Clone(path[:len(path)-1]), key)
			c.errorf(at, "%s: unknown key, did you mean %s?", strings.Join(at, "."), keyExtension)
		}
	}
	return mapping(c.report, path, in[keyExtension])
}

// mapping reads a value that must be a mapping; nil is an empty one.
func mapping(r *report, path []string, value any) extension {
	x := extension{report: r, path: slices.Clone(path)}
	switch m := value.(type) {
	case nil:
	case map[string]any:
		x.m = m
	default:
		r.errorf(path, "%s: want a mapping, not %s", strings.Join(path, "."), describe(value))
	}
	return x
}

func describe(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	default:
		return fmt.Sprint(v)
	}
}

func (x *extension) at(key string) []string { return append(slices.Clone(x.path), key) }

func (x *extension) fail(key, format string, args ...any) *Diagnostic {
	at := x.at(key)
	return x.errorf(at, "%s: %s", strings.Join(at, "."), fmt.Sprintf(format, args...))
}

func (x *extension) value(key string) any {
	x.known = append(x.known, key)
	return x.m[key]
}

// done reports the keys that nobody asked for.
func (x *extension) done() {
	for _, key := range sortedKeys(x.m) {
		if !slices.Contains(x.known, key) && !strings.HasPrefix(key, "x-") {
			x.fail(key, "unknown key%s", didYouMean(key, x.known...))
		}
	}
}

// str is a text; numbers and booleans are taken as they are written.
func (x *extension) str(key string) string {
	switch v := x.value(key).(type) {
	case nil:
		return ""
	case string:
		return v
	case int, int64, uint64, float64, bool:
		return fmt.Sprint(v)
	default:
		x.fail(key, "want a text, not %s", describe(v))
		return ""
	}
}

func (x *extension) word(key string, words ...string) string {
	s := x.str(key)
	if s != "" && !slices.Contains(words, s) {
		x.fail(key, "unknown word %q%s", s, didYouMean(s, words...))
		return ""
	}
	return s
}

func (x *extension) flag(key string) (value, said bool) {
	switch v := x.value(key).(type) {
	case nil:
		return false, false
	case bool:
		return v, true
	case string: // after interpolation
		if b, err := strconv.ParseBool(v); err == nil {
			return b, true
		}
		x.fail(key, "want true or false, not %q", v)
	default:
		x.fail(key, "want true or false, not %s", describe(v))
	}
	return false, false
}

func (x *extension) boolean(key string) bool {
	v, _ := x.flag(key)
	return v
}

func (x *extension) integer(key string, or, least, most int) int {
	n := 0
	switch v := x.value(key).(type) {
	case nil:
		return or
	case int:
		n = v
	case string:
		parsed, err := strconv.Atoi(v)
		if err != nil {
			x.fail(key, "want a number, not %q", v)
			return or
		}
		n = parsed
	default:
		x.fail(key, "want a whole number, not %s", describe(v))
		return or
	}
	if n < least || n > most {
		x.fail(key, "want a number from %d to %d, not %d", least, most, n)
		return or
	}
	return n
}

func (x *extension) duration(key string, or time.Duration) Duration {
	s := x.str(key)
	if s == "" {
		return Duration(or)
	}
	d, err := str2duration.ParseDuration(s)
	if err != nil || d < 0 {
		x.fail(key, "want a time such as 30s or 2m, not %q", s)
		return Duration(or)
	}
	return Duration(d)
}

// words is a list of texts; a single text is a list of one.
func (x *extension) words(key string) []string {
	switch v := x.value(key).(type) {
	case nil:
		return nil
	case []any:
		var list []string
		for i, e := range v {
			switch e := e.(type) {
			case string, int, int64, uint64, float64, bool:
				list = append(list, fmt.Sprint(e))
			default:
				x.fail(key, "element %d: want a text, not %s", i+1, describe(e))
			}
		}
		return list
	case string, int, float64, bool:
		return []string{fmt.Sprint(v)}
	default:
		x.fail(key, "want a list of texts, not %s", describe(v))
		return nil
	}
}

func (x *extension) stateful() Stateful {
	switch x.m["stateful"] {
	case true:
		x.value("stateful")
		return SingleWriter
	case false:
		x.value("stateful")
		return Scratch
	}
	word := x.word("stateful", string(SingleWriter), string(Shared), "true", string(Scratch))
	if word == "true" { // after interpolation
		return SingleWriter
	}
	return Stateful(word)
}

// portRange reads "32000-59000".
func (x *extension) portRange(key string) {
	s := x.str(key)
	if s == "" {
		return
	}
	first, last, ok := strings.Cut(s, "-")
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if !ok || err1 != nil || err2 != nil || from < 1 || to > 65535 || to < from {
		x.fail(key, "want a range of ports such as 32000-59000, not %q", s)
		return
	}
	x.ports = [2]int{from, to}
}
