package stack

import (
	"strings"
	"testing"
)

func TestWhatIsTooLargeOrDeepIsRefusedWithoutHarm(t *testing.T) {
	for name, src := range map[string]string{
		"brackets":     "locals { a = " + strings.Repeat("[", 50_000) + "}",
		"parentheses":  "locals { a = " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + " }",
		"templates":    "locals { a = " + strings.Repeat(`"${`, 2000) + "1" + strings.Repeat(`}"`, 2000) + " }",
		"negations":    "locals { a = " + strings.Repeat("!", 100_000) + "true }",
		"folded":       "locals { a = (" + strings.Repeat("!\n", 100_000) + "true) }",
		"conditionals": "locals { a = " + strings.Repeat("true ? 1 : ", 20_000) + "1 }",
		"blocks":       strings.Repeat("a {\n", 10_000),
		"size":         "# " + strings.Repeat("x", maxFile),
	} {
		t.Run(name, func(t *testing.T) {
			s, diags := load(t.TempDir(), []byte("stack \"shop\" {}\n"+src+"\n"), Options{})
			if !diags.HasErrors() && name != "folded" {
				t.Error("it is accepted")
			}
			if said := printed(t, s, diags); len(said) > 100_000 {
				t.Errorf("the answer has %d bytes", len(said))
			}
		})
	}
}
