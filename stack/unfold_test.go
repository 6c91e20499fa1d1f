package stack

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestUnfold(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`a { b = 1, c = 2 }`, "a {\n b = 1\n c = 2 \n}"},
		{`a "x" { b = [1, 2], c = { d = 1, e = 2 } }`, "a \"x\" {\n b = [1, 2]\n c = { d = 1, e = 2 } \n}"},
		{`a { b = 1 }`, `a { b = 1 }`},
		{"a {\n b = f(1, 2)\n c = { d = 1, e = 2 }\n}", "a {\n b = f(1, 2)\n c = { d = 1, e = 2 }\n}"},
		{`a { b { c = 1, d = 2 } }`, "a {\n b {\n c = 1\n d = 2 \n} \n}"},
		{`a { b {}, c {} }`, "a {\n b {}\n c {} \n}"},
		{"a {\n b = 1,\n c = 2\n}", "a {\n b = 1,\n c = 2\n}"},
		{`a { b = "${f(1, 2)}, ${x}", c = 2 }`, "a {\n b = \"${f(1, 2)}, ${x}\"\n c = 2 \n}"},
	} {
		if got, _ := unfold([]byte(c.src), File); string(got) != c.want {
			t.Errorf("%s becomes\n%s\nwant\n%s", c.src, got, c.want)
		}
	}
}

func TestPlacesSurviveUnfolding(t *testing.T) {
	src := "a { b = 1, c = 2 }\nd \"ü\" { e = f.g[0].h, i = upper(\"${j.k}\") }\nl = m\n"
	out, folds := unfold([]byte(src), File)
	file, diags := hclsyntax.ParseConfig(out, File, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	root := file.Body.(*hclsyntax.Body)
	folds.restore([]byte(src), root, nil)
	_ = hclsyntax.VisitAll(root, func(n hclsyntax.Node) hcl.Diagnostics {
		if a, ok := n.(*hclsyntax.Attribute); ok {
			if got := string(a.NameRange.SliceBytes([]byte(src))); got != a.Name {
				t.Errorf("attribute %s is placed at %q", a.Name, got)
			}
			for _, v := range a.Expr.Variables() {
				r := v.SourceRange()
				if got := string(r.SliceBytes([]byte(src))); !strings.HasPrefix(got, v.RootName()) {
					t.Errorf("variable %s is placed at %q", v.RootName(), got)
				}
				if line := strings.Split(src, "\n")[r.Start.Line-1]; !strings.HasPrefix(string([]rune(line)[r.Start.Column-1:]), v.RootName()) {
					t.Errorf("variable %s is placed at %s", v.RootName(), r)
				}
			}
		}
		return nil
	})
}
