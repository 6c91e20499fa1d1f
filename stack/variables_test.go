package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// value is what output "it" gives.
func value(t *testing.T, s *Stack) string {
	t.Helper()
	outputs, diags := s.Outputs(Facts{})
	if diags.HasErrors() || len(outputs) != 1 {
		t.Fatalf("%v %v", outputs, diags)
	}
	return string(outputs[0].Value)
}

func TestLaterValuesWin(t *testing.T) {
	src := []byte("stack \"shop\" {}\nvariable \"tag\" { default = \"default\" }\noutput \"it\" { value = var.tag }\n")
	dir := t.TempDir()
	check := func(want string, o Options) {
		t.Helper()
		s, diags := load(dir, src, o)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if got := value(t, s); got != `"`+want+`"` {
			t.Errorf("%s, want %s", got, want)
		}
	}
	o := Options{}
	check("default", o)
	o.Environ = []string{"CLOUDSHIP_VAR_tag=environment", "CLOUDSHIP_VAR_other=x", "PATH=/bin"}
	check("environment", o)
	write(t, dir, "b.auto.vars.hcl", `tag = "auto"`)
	write(t, dir, "a.auto.vars.hcl", `tag = "earlier"`)
	check("auto", o)
	o.VarFiles = []string{write(t, dir, "one.hcl", `tag = "one"`), write(t, dir, "two.json", `{"tag": "two"}`)}
	check("two", o)
	o.Vars = map[string]string{"tag": "flag"}
	check("flag", o)
}

func TestTextsAreReadByTheVariablesType(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"", "05", `"05"`},
		{"string", "[1]", `"[1]"`},
		{"number", "5", `5`},
		{"bool", "true", `true`},
		{"list(string)", `["a", "b"]`, `["a","b"]`},
		{"map(number)", `{ a = 1 }`, `{"a":1}`},
		{"object({ a = number, b = optional(string, \"x\") })", `{ a = 1 }`, `{"a":1,"b":"x"}`},
	} {
		block := "variable \"v\" {}\n"
		if c.kind != "" {
			block = "variable \"v\" {\n  type = " + c.kind + "\n}\n"
		}
		s := read(t, "stack \"shop\" {}\n"+block+"output \"it\" { value = var.v }\n", Options{Vars: map[string]string{"v": c.text}})
		if got := value(t, s); got != c.want {
			t.Errorf("%s of type %q is %s, want %s", c.text, c.kind, got, c.want)
		}
	}
}

func TestWrongValuesFromOutside(t *testing.T) {
	dir := t.TempDir()
	src := []byte("stack \"shop\" {}\nvariable \"region\" { default = \"ams3\" }\nvariable \"count\" {\n  type    = number\n  default = 1\n}\nvariable \"list\" {\n  type    = list(string)\n  default = []\n}\n")
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"unknown flag":    {Options{Vars: map[string]string{"regoin": "x"}}, "--var regoin: error: there is no variable \"regoin\"\n    want one of region, count, list\n    hint: did you mean \"region\"?\n"},
		"wrong type":      {Options{Environ: []string{"CLOUDSHIP_VAR_count=many"}}, "CLOUDSHIP_VAR_count: error: the value of variable \"count\" is a text\n    want number\n"},
		"no expression":   {Options{Vars: map[string]string{"list": "a, b"}}, "--var list: error: the value of variable \"list\" cannot be read\n    want list(string)\n    hint: write it as in the stack file, in single quotes for the shell\n"},
		"missing file":    {Options{VarFiles: []string{filepath.Join(dir, "none.hcl")}}, "none.hcl: error: this file of variables cannot be read\n    no such file or directory\n"},
		"unknown in file": {Options{VarFiles: []string{write(t, dir, "v.hcl", "cuont = 2\n")}}, "v.hcl:1,1: error: there is no variable \"cuont\"\n     1 | cuont = 2\n       | ^^^^^\n    want one of region, count, list\n    hint: did you mean \"count\"?\n"},
	} {
		s, diags := load(dir, src, c.o)
		if got := printed(t, s, diags); got != c.want {
			t.Errorf("%s: printed\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestMissingVariablesCanBeAskedFor(t *testing.T) {
	s, diags := load(t.TempDir(), []byte("stack \"shop\" {}\nvariable \"token\" {\n  description = \"from the account page\"\n  sensitive = true\n}\nvariable \"tag\" { default = 1 }\nexternal \"x\" { url = var.token }\n"), Options{})
	if len(diags) != 1 || !strings.Contains(diags[0].Summary, `variable "token" has no value`) {
		t.Errorf("%v", diags)
	}
	if len(s.Variables) != 2 || !s.Variables[0].Missing || !s.Variables[0].Sensitive || s.Variables[0].Description == "" || s.Variables[1].Missing {
		t.Errorf("%+v", s.Variables)
	}
}

func TestNoStackFile(t *testing.T) {
	dir := t.TempDir()
	s, diags := Load(dir, Options{})
	if said := printed(t, s, diags); !strings.Contains(said, "there is no stack file here") || !strings.Contains(said, "cloudship init") {
		t.Errorf("said %s", said)
	}
	write(t, dir, File, "stack \"shop\" {}\n")
	if s, diags := Load(dir, Options{}); diags.HasErrors() || s.Name != "shop" || s.State.Text != "" {
		t.Errorf("%v %v", s.Name, diags)
	}
}
