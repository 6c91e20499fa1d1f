package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read loads the text of a stack file in a folder of its own, and fails on any error.
func read(t *testing.T, src string, o Options) *Stack {
	t.Helper()
	s, diags := load(t.TempDir(), []byte(src), o)
	if diags.HasErrors() {
		var b strings.Builder
		_ = Print(&b, diags, s.Sources(), false)
		t.Fatal(b.String())
	}
	return s
}

// example is a file of testdata/good.
func example(t *testing.T, name string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", "good", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

func TestTheDesignsExample(t *testing.T) {
	s := read(t, example(t, "design.hcl"), Options{Vars: map[string]string{"mongodb_url": "mongodb://u:hunter2@db/x"}})
	wanted, err := Wants(s, Selection{Releases: map[string]string{"blue": "r1", "green": "r1"}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, w := range wanted {
		line := w.Address.String() + " at " + w.Provider + " " + w.Place + ":"
		for _, n := range w.Needs {
			line += " " + n.String()
		}
		lines = append(lines, line)
	}
	want := `group.blue.docker[0] at  cloudship.hcl:13: group.blue.server[0]
group.blue.release[0] at  cloudship.hcl:13: group.blue.docker[0] group.blue.server[0]
group.blue.server[0] at rackspace cloudship.hcl:13:
group.green.docker[0] at  cloudship.hcl:21: group.green.server[0]
group.green.release[0] at  cloudship.hcl:21: group.green.docker[0] group.green.server[0]
group.green.server[0] at rackspace cloudship.hcl:21:
load_balancer.www at rackspace cloudship.hcl:29:
load_balancer.www.members at rackspace cloudship.hcl:29: group.blue.release[0] group.blue.server[0] load_balancer.www
load_balancer.www.route at  cloudship.hcl:29: load_balancer.www load_balancer.www.members`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("wanted\n%s\nwant\n%s", got, want)
	}
	inputs, diags := s.Inputs("web", Facts{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if inputs["TAG"].Text != "latest" || inputs["TAG"].Sensitive {
		t.Errorf("TAG is %#v", inputs["TAG"])
	}
	if url := inputs["MONGODB_URL"]; url.Text != "mongodb://u:hunter2@db/x" || !url.Sensitive || url.String() != "(sensitive)" {
		t.Errorf("MONGODB_URL is %#v", url)
	}
	if secrets := s.Secrets(); len(secrets) != 1 || secrets[0] != "mongodb://u:hunter2@db/x" {
		t.Errorf("secrets: %q", secrets)
	}
}
