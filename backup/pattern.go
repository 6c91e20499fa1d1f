package backup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DefaultPattern is the pattern of names where none is said. A suffix such as ".sqlite3" may follow.
const DefaultPattern = "{{timestamp}}"

// longestPattern is far longer than any that makes names, in bytes.
const longestPattern = 500

// A Pattern makes the names of backups. Parse one with [ParsePattern].
type Pattern struct {
	pieces []piece
	last   int // the piece after which a number goes where a name is taken
}

// piece is text, or a word that stands for something.
type piece struct {
	text  string
	value func(NameOf) string // nil is text
}

// NameOf is what a name may be made of.
type NameOf struct {
	Time    time.Time // is shown in UTC
	Stack   string
	Backup  string // label of the backup block
	Release string
}

// words are what may stand in {{ }}; those of a time say which parts of it they fix.
var words = map[string]struct {
	value func(NameOf) string
	fixes string
}{
	"timestamp": {func(n NameOf) string { return n.Time.UTC().Format("20060102_150405") }, "Ymd"},
	"date":      {func(n NameOf) string { return n.Time.UTC().Format("20060102") }, "Ymd"},
	"stack":     {func(n NameOf) string { return plain(n.Stack) }, ""},
	"backup":    {func(n NameOf) string { return plain(n.Backup) }, ""},
	"release":   {func(n NameOf) string { return plain(n.Release) }, ""},
}

// letters are what may follow a %, as in date(1).
var letters = map[byte]func(time.Time) string{
	'Y': layout("2006"), 'm': layout("01"), 'd': layout("02"), 'H': layout("15"), 'M': layout("04"), 'S': layout("05"),
	'y': layout("06"), 'j': layout("002"), 'b': layout("Jan"), 'F': layout("2006-01-02"),
	's': func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
}

func layout(text string) func(time.Time) string {
	return func(t time.Time) string { return t.Format(text) }
}

// plain makes a value fit for a name.
func plain(value string) string {
	if value == "" {
		return "none"
	}
	fit := func(r rune) rune {
		if r < 0x80 && nameByte(byte(r)) {
			return r
		}
		return '-'
	}
	value = strings.Map(fit, value)
	return value[:min(len(value), 40)]
}

// ParsePattern reads a pattern: text with {{timestamp}} (20260921_180000), {{date}} (20260921),
// {{stack}}, {{backup}}, {{release}}, and % with a letter of Y m d H M S y j b F s as in date(1). Times
// are UTC. It must fix a day at least, so that names of different days differ.
func ParsePattern(text string) (Pattern, error) {
	var p Pattern
	if len(text) > longestPattern {
		return Pattern{}, fmt.Errorf("the name %.40q...: it is longer than %d bytes", text, longestPattern)
	}
	fixes := ""
	for rest := text; rest != ""; {
		next, fixed, left, err := nextPiece(rest)
		if err != nil {
			return Pattern{}, fmt.Errorf("the name %q: %w", text, err)
		}
		if p.pieces = append(p.pieces, next); fixed != "" {
			p.last = len(p.pieces) - 1
		}
		fixes, rest = fixes+fixed, left
	}
	if err := p.check(fixes); err != nil {
		return Pattern{}, fmt.Errorf("the name %q: %w", text, err)
	}
	return p, nil
}

// nextPiece cuts one piece off a pattern, and says which parts of a time it fixes.
func nextPiece(text string) (p piece, fixes, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "{{"):
		word, rest, ok := strings.Cut(text[2:], "}}")
		if !ok {
			return p, "", "", errors.New("a {{ has no }}")
		}
		word = strings.TrimSpace(word)
		known, ok := words[word]
		if !ok {
			return p, "", "", fmt.Errorf("{{%s}} is unknown; there are timestamp, date, stack, backup and release", word)
		}
		return piece{value: known.value}, known.fixes, rest, nil
	case text[0] == '%':
		return percent(text)
	}
	end := len(text)
	for _, stop := range []string{"{{", "%"} {
		if i := strings.Index(text, stop); i >= 0 {
			end = min(end, i)
		}
	}
	for i := range end {
		if !nameByte(text[i]) {
			return p, "", "", fmt.Errorf("a name is made of letters, digits and ._-+=@, which %q is not", rune(text[i]))
		}
	}
	return piece{text: text[:end]}, "", text[end:], nil
}

func percent(text string) (p piece, fixes, rest string, err error) {
	if len(text) < 2 {
		return p, "", "", errors.New("a % stands alone")
	}
	format, ok := letters[text[1]]
	if !ok {
		return p, "", "", fmt.Errorf("%q is unknown; there are %%Y %%m %%d %%H %%M %%S %%y %%j %%b %%F %%s", text[:2])
	}
	return piece{value: func(n NameOf) string { return format(n.Time.UTC()) }}, text[1:2], text[2:], nil
}

// check refuses patterns whose names could repeat from day to day, or fit nowhere.
func (p Pattern) check(fixes string) error {
	has := func(letters string) bool { return strings.ContainsAny(fixes, letters) }
	if !has("sF") && (!has("Yy") || !has("j") && (!has("mb") || !has("d"))) {
		return errors.New("it needs a time, so that two names differ: {{timestamp}} for instance")
	}
	longest := NameOf{Stack: strings.Repeat("s", 40), Backup: strings.Repeat("b", 40), Release: strings.Repeat("r", 40)}
	if name := p.Name(longest, 0); !ValidName(name) {
		return fmt.Errorf("%q is no name: it begins with a letter or digit and has at most %d bytes", name, longestName)
	}
	return nil
}

// Name is the name that the pattern makes. n numbers names that would be the same: up to 1 it is not
// shown, from 2 on it is, after the time: 20260921_180000-2.sqlite3.
func (p Pattern) Name(of NameOf, n int) string {
	var b strings.Builder
	for i, piece := range p.pieces {
		if piece.value == nil {
			b.WriteString(piece.text)
		} else {
			b.WriteString(piece.value(of))
		}
		if i == p.last && n > 1 {
			fmt.Fprintf(&b, "-%d", n)
		}
	}
	return b.String()
}

// longestName leaves room for a number and for the ends of objects.
const longestName = longestPart - 20

// ValidName tells whether a backup may have this name.
func ValidName(name string) bool {
	if !validPart(name) || len(name) > longestName {
		return false
	}
	c := name[0]
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// validLabel tells whether a stack or a backup block may have this name.
func validLabel(label string) bool {
	return ValidName(label) && len(label) <= 80
}
