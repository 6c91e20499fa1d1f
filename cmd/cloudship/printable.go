package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ink matches what sets colours and weights at a terminal, and does nothing else.
var ink = regexp.MustCompile(`\x1b\[[0-9;:]{0,40}m`)

// printable is a text of somebody else's so that it can do nothing to a terminal: what would move
// its cursor, rename its window or answer in the user's name is written out. With colours, those
// that the text sets are left in it, and end with it.
func printable(text string, colours bool) string {
	var safe strings.Builder
	inked := false
	for text != "" {
		at := ink.FindStringIndex(text)
		if at == nil {
			at = []int{len(text), len(text)}
		}
		written(&safe, text[:at[0]])
		if colours && at[0] < at[1] {
			safe.WriteString(text[at[0]:at[1]])
			inked = true
		}
		text = text[at[1]:]
	}
	if inked {
		safe.WriteString("\x1b[0m")
	}
	return safe.String()
}

// written writes a text with everything that is no letter, mark or sign written as its number: also
// what turns the direction of writing, by which a line can show what is not in it.
func written(to *strings.Builder, text string) {
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(to, `\x%02x`, text[0])
		case r == '\t' || r == '\u200d' || unicode.IsGraphic(r):
			to.WriteString(text[:size])
		case r < 0x100:
			fmt.Fprintf(to, `\x%02x`, r)
		default:
			fmt.Fprintf(to, `\u%04x`, r)
		}
		text = text[size:]
	}
}
