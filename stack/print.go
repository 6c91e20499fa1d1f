package stack

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Print writes diagnostics for people: the place, what is wrong, the source line with what is meant
// underlined, what was expected, and what to do.
//
//	cloudship.hcl:12,3: error: group "blue" has no attribute "sevrers"
//	    12 |   sevrers = 1
//	       |   ^^^^^^^
//	    want one of provider, servers, ...
//	    hint: did you mean "servers"?
//
// Sources are those of Stack.Sources. What it prints must still pass the redactor.
func Print(w io.Writer, diags hcl.Diagnostics, sources map[string][]byte, color bool) error {
	var b strings.Builder
	for i, d := range diags {
		if i > 0 {
			b.WriteByte('\n')
		}
		printOne(&b, d, sources, color)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	bold    = "\x1b[1m"
	red     = "\x1b[31m"
	yellow  = "\x1b[33m"
	plainly = "\x1b[0m"
)

func printOne(b *strings.Builder, d *hcl.Diagnostic, sources map[string][]byte, color bool) {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return code + s + plainly
	}
	severity, code := "error", red
	if d.Severity == hcl.DiagWarning {
		severity, code = "warning", yellow
	}
	fmt.Fprintf(b, "%s %s %s\n", paint(bold, spot(d.Subject)), paint(bold+code, severity+":"), paint(bold, printable(lowerFirst(d.Summary))))
	if d.Subject != nil {
		snippet(b, *d.Subject, sources[d.Subject.Filename], func(s string) string { return paint(code, s) })
	}
	for _, line := range strings.Split(strings.TrimSpace(lowerFirst(d.Detail)), "\n") {
		if line != "" {
			fmt.Fprintf(b, "    %s\n", printable(line))
		}
	}
	if hint, ok := d.Extra.(Hint); ok && hint != "" {
		fmt.Fprintf(b, "    %s %s\n", paint(bold, "hint:"), printable(string(hint)))
	}
}

// spot is where a diagnostic is: "cloudship.hcl:12,3:", or what it is about that is no file.
func spot(at *hcl.Range) string {
	switch {
	case at == nil:
		return File + ":"
	case at.Start.Line == 0:
		return at.Filename + ":"
	}
	return fmt.Sprintf("%s:%d,%d:", at.Filename, at.Start.Line, at.Start.Column)
}

// snippet shows the first line of a range, with the range underlined.
func snippet(b *strings.Builder, at hcl.Range, src []byte, paint func(string) string) {
	if at.Start.Line == 0 {
		return
	}
	lines := bytes.Split(src, []byte("\n"))
	if at.Start.Line > len(lines) {
		return
	}
	line := strings.TrimRight(string(lines[at.Start.Line-1]), "\r")
	if strings.TrimSpace(line) == "" {
		return
	}
	from := at.Start.Column - 1
	to := len([]rune(line))
	if at.End.Line == at.Start.Line && at.End.Column-1 < to {
		to = at.End.Column - 1
	}
	line, from, to = window(line, from, to)
	number := fmt.Sprintf("%6d", at.Start.Line)
	fmt.Fprintf(b, "%s | %s\n", number, printable(line))
	fmt.Fprintf(b, "%s | %s%s\n", strings.Repeat(" ", len(number)), under(line, from), paint(strings.Repeat("^", max(1, to-from))))
}

// widest is how much of a source line is shown, in characters.
const widest = 160

// window cuts a long line to what stands around a span of it.
func window(line string, from, to int) (string, int, int) {
	runes := []rune(line)
	from = max(0, min(from, len(runes)))
	to = max(from, min(to, len(runes)))
	if len(runes) <= widest {
		return line, from, to
	}
	first := max(0, min(from-widest/4, len(runes)-widest))
	last := first + widest
	line = string(runes[first:last])
	if first > 0 {
		line, from, to = "..."+line, from+3, to+3
		last += 3
	}
	if first+widest < len(runes) {
		line += "..."
	}
	return line, from - first, min(to, last) - first
}

// under is white space as wide as the first characters of a line.
func under(line string, width int) string {
	var b strings.Builder
	for _, r := range line {
		if width <= 0 {
			break
		}
		width--
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String() + strings.Repeat(" ", max(0, width))
}

// printable takes the teeth out of control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// lowerFirst writes the libraries' sentences as we write ours: small first letter, no full stop.
// Names such as IP and DigitalOcean stay.
func lowerFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	word, _, _ := strings.Cut(s[size:], " ")
	if unicode.IsUpper(first) && strings.IndexFunc(word, unicode.IsUpper) < 0 {
		s = string(unicode.ToLower(first)) + s[size:]
	}
	if strings.HasSuffix(s, "..") {
		return s
	}
	return strings.TrimSuffix(s, ".")
}
