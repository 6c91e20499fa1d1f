// Package cloudship_test keeps the order of the packages: see ARCHITECTURE.md.
package cloudship_test

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cloudship/cloudship/"

// floors says where a folder's packages stand. A package imports only what stands below it, and
// packages of its own folder.
var floors = map[string]int{
	"resource": 0, "redact": 0,
	"stack": 1, "template": 1, "plan": 1, "state": 1, "plugins": 1, "remote": 1, "backup": 1, "certificate": 1,
	"providers": 2, "deploy": 2,
	"engine": 3,
	"cmd":    5,
	"lab":    4, // of ours it uses nothing; its command and tests use it
	"e2e":    6,
}

// narrower are folders that may import less of ours than their floor allows; what is said of a
// package counts for it rather than what is said of its folder.
var narrower = map[string][]string{
	"state":       {},
	"remote":      {},
	"backup":      {},
	"certificate": {"resource"},
	"plan":        {"resource"},
	"stack":       {"resource"},
	"template":    {"resource"},
	"plugins":     {"resource"},
	"providers":   {"resource", "plugins"},

	"providers/hosts": {"resource", "plugins", "remote"}, // its cloud is machines, and SSH their API
	"lab":             {},
}

// banned are packages that a folder may not import: the domain does no I/O beyond reading the
// user's files, and asks nobody.
var banned = map[string][]string{
	"resource": {"os", "os/exec", "net", "net/http", "syscall"},
	"plan":     {"os", "os/exec", "net", "net/http", "syscall"},
	"stack":    {"os/exec", "net", "net/http", "syscall"},
	"template": {"os/exec", "net", "net/http", "syscall"},
	"engine":   {"golang.org/x/term", "github.com/spf13/cobra"},
}

// only says which folders may import a foreign module.
var only = map[string][]string{
	"github.com/hashicorp/go-plugin": {"plugins"},
	"google.golang.org/grpc":         {"plugins"},
	"github.com/digitalocean/godo":   {"providers"},
	"github.com/gophercloud/":        {"providers"},
	"github.com/compose-spec/":       {"template"},
	"github.com/spf13/cobra":         {"cmd"},
	"github.com/vbauerster/mpb":      {"cmd"},
	"github.com/aws/":                {"state", "backup"},
	"github.com/jackc/":              {"state"},
	"golang.org/x/term":              {"cmd"},
	"golang.org/x/crypto/acme":       {"certificate"},
	"github.com/moby/moby/client":    {"remote", "deploy", "engine", "lab", "providers"},
}

func TestPackagesImportOnlyWhatStandsBelowThem(t *testing.T) {
	for path, imports := range packages(t) {
		folder := folderOf(path)
		floor, ok := floors[folder]
		if !ok {
			t.Errorf("%s has no floor: give %q one in floors", path, folder)
			continue
		}
		for _, other := range imports {
			if !strings.HasPrefix(other, module) {
				foreign(t, path, folder, other)
				continue
			}
			target := folderOf(other)
			if target == folder {
				continue
			}
			if below, ok := floors[target]; ok && below >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d)", path, floor, other, below)
			}
			if allowed, ok := narrowest(path, folder); ok && !slices.Contains(allowed, target) {
				t.Errorf("%s imports %s; %s may import %q of ours", path, other, folder, allowed)
			}
		}
	}
}

// narrowest is what a package may import of ours: what is said of it, or else of its folder.
func narrowest(path, folder string) ([]string, bool) {
	if allowed, ok := narrower[strings.TrimPrefix(path, module)]; ok {
		return allowed, true
	}
	allowed, ok := narrower[folder]
	return allowed, ok
}

// foreign checks an import that is not ours.
func foreign(t *testing.T, path, folder, other string) {
	t.Helper()
	if slices.Contains(banned[folder], other) {
		t.Errorf("%s imports %s", path, other)
	}
	for prefix, folders := range only {
		if strings.HasPrefix(other, prefix) && !slices.Contains(folders, folder) {
			t.Errorf("%s imports %s, which belongs into %q alone", path, other, folders)
		}
	}
}

// packages lists the module's packages with what they import, tests aside.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if words[0] != strings.TrimSuffix(module, "/") { // this test's own, which has nothing else
			all[words[0]] = words[1:]
		}
	}
	return all
}

func folderOf(path string) string {
	folder, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
	return folder
}
