package stack

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

func TestPrint(t *testing.T) {
	at := func(line, from, to int) *hcl.Range {
		return &hcl.Range{Filename: File, Start: hcl.Pos{Line: line, Column: from}, End: hcl.Pos{Line: line, Column: to}}
	}
	long := strings.Repeat("a", 300)
	src := []byte("one\n\tfoo = \"\x1b[31m\"\n" + long + "\n")
	for name, c := range map[string]struct {
		d     *hcl.Diagnostic
		color bool
		want  string
	}{
		"tabs and control characters": {fault(*at(2, 2, 5), "no foo", "want bar", "say bar"), false,
			"cloudship.hcl:2,2: error: no foo\n     2 | \tfoo = \"?[31m\"\n       | \t^^^\n    want bar\n    hint: say bar\n"},
		"a warning in colour": {caution(*at(1, 1, 2), "odd", "", ""), true,
			"\x1b[1mcloudship.hcl:1,1:\x1b[0m \x1b[1m\x1b[33mwarning:\x1b[0m \x1b[1modd\x1b[0m\n     1 | one\n       | \x1b[33m^\x1b[0m\n"},
		"a long line": {fault(*at(3, 200, 203), "long", "", ""), false,
			"cloudship.hcl:3,200: error: long\n     3 | ..." + long[:160] + "\n       | " + strings.Repeat(" ", 3+199-140) + "^^^\n"},
		"no line":             {fault(outside("--var tag"), "no tag", "", ""), false, "--var tag: error: no tag\n"},
		"a line that is gone": {fault(*at(9, 1, 2), "gone", "", ""), false, "cloudship.hcl:9,1: error: gone\n"},
		"a library's words":   {&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Invalid index", Detail: "The index is bad.", Subject: at(1, 1, 2)}, false, "cloudship.hcl:1,1: error: invalid index\n     1 | one\n       | ^\n    the index is bad\n"},
	} {
		var b strings.Builder
		if err := Print(&b, hcl.Diagnostics{c.d}, map[string][]byte{File: src}, c.color); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%s: printed\n%q\nwant\n%q", name, b.String(), c.want)
		}
	}
}
