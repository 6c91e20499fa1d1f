package template

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity is how much a diagnostic matters.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Place is a position in one of the user's files. Line and Column count from 1; a Line of 0 means
// that only the file is known, an empty File that not even that is.
type Place struct {
	File   string `json:"file,omitempty"` // relative to the stack's folder where it lies in it
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Source string `json:"source,omitempty"` // the line itself
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Diagnostic is one thing to be said about the user's files.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Place    Place    `json:"place,omitzero"`
	Message  string   `json:"message"`        // what is wrong, what was expected, the nearest valid name
	Hint     string   `json:"hint,omitempty"` // what to do
}

// Error is the diagnostic in one line.
func (d *Diagnostic) Error() string {
	if d.Place.File == "" {
		return d.Message
	}
	return d.Place.String() + ": " + d.Message
}

// HintText is what to do.
func (d *Diagnostic) HintText() string { return d.Hint }

// Text is the diagnostic with its source line and a mark below the column.
func (d *Diagnostic) Text() string {
	var b strings.Builder
	b.WriteString(d.Error())
	if d.Place.Source != "" {
		source := strings.TrimRight(strings.ReplaceAll(d.Place.Source, "\t", " "), " \r")
		fmt.Fprintf(&b, "\n    %s\n    %s^", source, strings.Repeat(" ", max(d.Place.Column-1, 0)))
	}
	if d.Hint != "" {
		b.WriteString("\n    hint: " + d.Hint)
	}
	return b.String()
}

// Diagnostics is a list of them. As an error it holds at least one of severity error.
type Diagnostics []*Diagnostic

// Error is all of them, one below the other, with source lines and hints.
func (d Diagnostics) Error() string {
	texts := make([]string, len(d))
	for i, one := range d {
		texts[i] = one.Text()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives the diagnostics one by one.
func (d Diagnostics) Unwrap() []error {
	errs := make([]error, len(d))
	for i, one := range d {
		errs[i] = one
	}
	return errs
}

// report gathers diagnostics and knows where things stand.
type report struct {
	sources *sources
	vault   *vault
	list    Diagnostics
}

// errorf reports something wrong with what the path names in the Compose files.
func (r *report) errorf(path []string, format string, args ...any) *Diagnostic {
	return r.add(SeverityError, r.sources.find(path), format, args...)
}

// warnf reports something that the user should know and that stops nothing.
func (r *report) warnf(path []string, format string, args ...any) *Diagnostic {
	return r.add(SeverityWarning, r.sources.find(path), format, args...)
}

func (r *report) add(s Severity, place Place, format string, args ...any) *Diagnostic {
	message := r.vault.scrub(fmt.Sprintf(format, args...))
	for _, d := range r.list {
		if d.Message == message && d.Place == place {
			return d
		}
	}
	d := &Diagnostic{Severity: s, Place: place, Message: message}
	r.list = append(r.list, d)
	return d
}

// failed gives all diagnostics when one of them is an error, else nil. Errors come first.
func (r *report) failed() error {
	for _, d := range r.list {
		if d.Severity == SeverityError {
			return r.sorted()
		}
	}
	return nil
}

func (r *report) sorted() Diagnostics {
	for _, d := range r.list {
		d.Hint = r.vault.scrub(d.Hint)
	}
	slices.SortStableFunc(r.list, func(a, b *Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line))
	})
	return r.list
}
