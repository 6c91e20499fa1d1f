package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// minLine is the length from which one line of several is a secret by itself.
const minLine = 8

// longValue is the length from which on only the commonest forms are looked
// for, so that a whole file can be a secret without taking much memory.
const longValue = 16 << 10

// forms returns the ways in which a program may repeat a value.
func forms(value string) []string {
	if !secret(value) {
		return nil
	}
	// White space around it is not what is secret; and what begins with a line
	// end would keep back the end of every line of a Writer.
	text := strings.TrimSpace(value)
	if !secret(text) {
		text = value
	}
	if len(text) > longValue {
		return append(lines(text), text, inJSON(text, false), base64.StdEncoding.EncodeToString([]byte(text)))
	}
	plain := []string{text}
	if strings.Contains(text, "\n") {
		plain = append(plain, strings.ReplaceAll(text, "\n", "\r\n"))
		plain = append(plain, lines(text)...)
	}
	var all []string
	for _, text := range plain {
		all = append(all, text)
		all = append(all, escaped(text)...)
		all = append(all, encoded(text)...)
	}
	if text != value {
		all = append(all, encoded(value)...)
	}
	return all
}

// lines returns the lines of a value that are secrets themselves. The frame of
// a PEM block is none.
func lines(value string) []string {
	var found []string
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if len(line) >= minLine && !strings.HasPrefix(line, "-----") {
			found = append(found, line)
		}
	}
	return found
}

// escaped returns text as it stands inside of other languages.
func escaped(text string) []string {
	quoted := strconv.Quote(text)
	json := inJSON(text, false)
	forms := []string{
		quoted[1 : len(quoted)-1],
		json, inJSON(json, false), inJSON(text, true), inJSON(inJSON(text, true), true),
		strings.ReplaceAll(text, `'`, `'\''`),
		strings.ReplaceAll(text, `'`, `'"'"'`),
		strings.ReplaceAll(text, `'`, `''`), // SQL, YAML
		withBackslashes(text, "$`\"\\!"),
		withBackslashes(text, " \t!\"#$&'()*;<>?[\\]^`{|}~"),
		strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text),
		strings.ReplaceAll(text, "$", "$$"), // Compose
		html.EscapeString(text),
		url.QueryEscape(text), url.PathEscape(text), url.UserPassword("", text).String()[1:],
	}
	for _, form := range forms {
		if strings.Contains(form, "%") {
			forms = append(forms, lowerHex(form))
		}
	}
	return forms
}

// inJSON returns text as it stands between the quotes of a JSON string.
func inJSON(text string, forHTML bool) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(forHTML)
	if err := encoder.Encode(text); err != nil {
		return text
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

func withBackslashes(text, special string) string {
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(special, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// lowerHex writes percent escapes in lower case.
func lowerHex(text string) string {
	b := []byte(text)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// encoded returns text in hex, and in base64 as it stands alone, broken into
// lines, and in the midst of something longer (as in "user:password").
func encoded(text string) []string {
	forms := []string{hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := encoding.EncodeToString([]byte(text))
		forms = append(forms, whole, strings.TrimRight(whole, "="))
		for _, width := range []int{64, 76} {
			if len(whole) > width {
				forms = append(forms, wrapped(whole, width)...)
			}
		}
		for shift := range 3 {
			forms = append(forms, inBase64(encoding, text, shift))
		}
	}
	return forms
}

// wrapped returns the lines of a long word.
func wrapped(word string, width int) []string {
	var found []string
	for len(word) > width {
		found = append(found, word[:width])
		word = word[width:]
	}
	if len(word) >= minLine {
		found = append(found, word)
	}
	return found
}

// inBase64 returns those characters of a longer base64 text that depend on
// nothing but text, when so many bytes above a multiple of three go before it.
// Less than six characters prove nothing: then it is empty.
func inBase64(encoding *base64.Encoding, text string, shift int) string {
	word := encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("x", shift) + text))
	first := (shift*8 + 5) / 6
	last := (shift + len(text)) * 8 / 6
	if last-first < 6 {
		return ""
	}
	return word[first:last]
}
