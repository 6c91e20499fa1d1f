package stack

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// Hint is what to do about a diagnostic. It is carried in hcl.Diagnostic.Extra.
type Hint string

// fault is an error at a place: what is wrong, what was expected, and what to do about it.
func fault(at hcl.Range, summary, expected, hint string) *hcl.Diagnostic {
	return diagnostic(hcl.DiagError, at, summary, expected, hint)
}

// caution is a warning at a place.
func caution(at hcl.Range, summary, detail, hint string) *hcl.Diagnostic {
	return diagnostic(hcl.DiagWarning, at, summary, detail, hint)
}

func diagnostic(severity hcl.DiagnosticSeverity, at hcl.Range, summary, detail, hint string) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail, Subject: &at}
	if hint != "" {
		d.Extra = Hint(hint)
	}
	return d
}

// place is where a range starts, for people: "cloudship.hcl:12".
func place(at hcl.Range) string { return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line) }

// nearest is the valid name that was probably meant, or "".
func nearest(name string, valid []string) string {
	best, least := "", len(name)/3+2
	for _, candidate := range valid {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(candidate), nil); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// didYouMean is the hint that names the nearest valid name, or "".
func didYouMean(name string, valid []string) string {
	if near := nearest(name, valid); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// oneOf is the sentence that lists what is valid.
func oneOf(valid []string) string {
	switch len(valid) {
	case 0:
		return ""
	case 1:
		return "want " + valid[0]
	}
	return "want one of " + strings.Join(valid, ", ")
}
