package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ name, text, plain, coloured string }{
		{"words", "GET /ü 200\tok", "GET /ü 200\tok", "GET /ü 200\tok"},
		{"colours", "\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"},
		{"colour without end", "a\x1b[1;31mred", "ared", "a\x1b[1;31mred\x1b[0m"},
		{"cursor", "a\x1b[2Jb\x1b[1A", `a\x1b[2Jb\x1b[1A`, `a\x1b[2Jb\x1b[1A`},
		{"window", "\x1b]0;owned\a", `\x1b]0;owned\x07`, `\x1b]0;owned\x07`},
		{"one byte", "\u009b31m", `\x9b31m`, `\x9b31m`},
		{"over the line", "good\rbad", `good\x0dbad`, `good\x0dbad`},
		{"two lines", "one\ntwo", `one\x0atwo`, `one\x0atwo`},
		{"bytes", "\xff\xfe", `\xff\xfe`, `\xff\xfe`},
		{"direction", "a\u202eb", `a\u202eb`, `a\u202eb`},
		{"family", "👩\u200d👧", "👩\u200d👧", "👩\u200d👧"},
		{"put together", "\x1b\x1b[0m[2J", `\x1b[2J`, "\\x1b\x1b[0m[2J\x1b[0m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := printable(c.text, false); got != c.plain {
				t.Errorf("plain: %q, want %q", got, c.plain)
			}
			if got := printable(c.text, true); got != c.coloured {
				t.Errorf("coloured: %q, want %q", got, c.coloured)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m \x1b]0;x\a")
	f.Add("\x1b[\x1b[0m2J")
	f.Fuzz(func(t *testing.T, text string) {
		plain := printable(text, false)
		if strings.ContainsFunc(plain, func(r rune) bool { return r != '\t' && (r < 0x20 || r >= 0x7f && r < 0xa0) }) || !utf8.ValidString(plain) {
			t.Errorf("%q is printed as %q", text, plain)
		}
		coloured := ink.ReplaceAllString(printable(text, true), "")
		if strings.ContainsRune(coloured, '\x1b') {
			t.Errorf("%q is printed as %q", text, coloured)
		}
	})
}
