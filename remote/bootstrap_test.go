package remote

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestP7DockerIsInstalledOnEachFamily(t *testing.T) {
	for _, c := range []struct {
		name       string
		facts      Facts
		repository bool
		want       Command
	}{
		{"Debian", Facts{Distribution: "debian"}, false, Script(aptScript).AsRoot()},
		{"Debian, Docker's", Facts{Distribution: "debian", Codename: "bookworm"}, true, Script(aptRepositoryScript, "debian", "bookworm").AsRoot()},
		{"Ubuntu", Facts{Distribution: "ubuntu", Like: "debian"}, false, Script(aptScript).AsRoot()},
		{"Ubuntu, Docker's", Facts{Distribution: "ubuntu", Like: "debian", Codename: "noble"}, true, Script(aptRepositoryScript, "ubuntu", "noble").AsRoot()},
		{"Mint", Facts{Distribution: "linuxmint", Like: "ubuntu debian"}, false, Script(aptScript).AsRoot()},
		{"Rocky", Facts{Distribution: "rocky", Like: "rhel centos fedora"}, false, Script(dnfScript, "centos").AsRoot()},
		{"RHEL", Facts{Distribution: "rhel", Like: "fedora"}, false, Script(dnfScript, "rhel").AsRoot()},
		{"Fedora", Facts{Distribution: "fedora"}, false, Script(dnfScript, "fedora").AsRoot()},
	} {
		got, err := installation(c.facts, c.repository)
		if err != nil || got.String() != c.want.String() {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
	}
	if _, err := installation(Facts{Distribution: "alpine"}, false); err == nil || !strings.Contains(err.Error(), `"alpine"`) {
		t.Errorf("alpine: %v", err)
	}
}

// fakes puts programs into a folder of their own that stands first in PATH.
func fakes(t *testing.T, programs map[string]string) (path string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("STATE", dir)
	return dir + ":" + os.Getenv("PATH")
}

// runFaked runs a command's line on this machine, among the fakes.
func runFaked(t *testing.T, c Command, path string) (stdout, stderr string, err error) {
	t.Helper()
	c.Env = map[string]string{"PATH": path}
	run := exec.CommandContext(t.Context(), "sh", "-c", c.line("root"))
	var out, complaints strings.Builder
	run.Stdout, run.Stderr = &out, &complaints
	err = run.Run()
	return out.String(), complaints.String(), err
}

// The scripts are run as they are, over an apt that behaves as told.
var aptWorld = map[string]string{
	"dpkg":       ":",
	"dpkg-query": "printf 20.10",
	"sleep":      ":",
	"systemctl":  `echo "$@" >>"$STATE/started"; case $1 in is-active) exit 3;; esac`,
}

func world(t *testing.T, apt string) (path string) {
	programs := map[string]string{"apt-get": apt}
	for name, script := range aptWorld {
		programs[name] = script
	}
	return fakes(t, programs)
}

func TestAptScriptWaitsForLocks(t *testing.T) {
	path := world(t, `echo "$@" >>"$STATE/calls"
if [ "$(wc -l <"$STATE/calls")" -le 2 ]; then
	echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)" >&2
	exit 100
fi
echo "Setting up docker.io"`)
	out, complaints, err := runFaked(t, Script(aptScript), path)
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	if strings.Count(out, "waiting for another package installation") != 2 ||
		!strings.Contains(out, "Setting up docker.io\n") || !strings.Contains(out, "cloudship: installed docker.io 20.10") {
		t.Errorf("told %s", out)
	}
	started, err := os.ReadFile(filepath.Join(os.Getenv("STATE"), "started"))
	if err != nil || !strings.Contains(string(started), "start docker") {
		t.Errorf("systemctl %s, %v", started, err)
	}
}

func TestAptScriptTellsWhatWentWrong(t *testing.T) {
	path := world(t, `case "$*" in
*install*)
	echo "Reading package lists..."
	echo "E: Unable to locate package docker.io" >&2
	exit 100
	;;
esac`)
	_, complaints, err := runFaked(t, Script(aptScript), path)
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) || exit.ExitCode() != 100 {
		t.Errorf("want exit 100, got %v", err)
	}
	if complaints != "E: Unable to locate package docker.io\n" {
		t.Errorf("complained %q", complaints)
	}
}

func TestFactsAreParsed(t *testing.T) {
	got, err := parseFacts("hostname=web-1\ndistribution=debian\nlike=\nrelease=12\ncodename=bookworm\nkernel=6.1=x\narchitecture=x86_64\ncpus=2\nmemory=1024\ndisk=2048\n")
	want := Facts{
		Hostname: "web-1", Distribution: "debian", Release: "12", Codename: "bookworm", Kernel: "6.1=x",
		Architecture: "x86_64", CPUs: 2, Memory: 1 << 20, DiskFree: 2 << 20,
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseFacts("cpus=many\n"); err == nil {
		t.Error("many is no number")
	}
}

func TestFactsScriptRunsHere(t *testing.T) {
	h, _ := dialed(t)
	facts, err := h.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if facts.CPUs < 1 || facts.Memory < 1<<20 || facts.Kernel == "" || facts.Distribution == "" {
		t.Errorf("facts %+v", facts)
	}
}

func FuzzParseFacts(f *testing.F) {
	f.Add("hostname=a\ncpus=2\n")
	f.Add("cpus=\n=\n==")
	f.Fuzz(func(t *testing.T, text string) {
		if facts, err := parseFacts(text); err == nil && strings.Contains(facts.Hostname, "\n") {
			t.Errorf("hostname %q", facts.Hostname)
		}
	})
}

func TestOlderThan(t *testing.T) {
	for _, c := range []struct {
		version, than string
		want          bool
	}{
		{"1.9", "1.41", true}, {"1.40", "1.41", true}, {"1.41", "1.41", false}, {"2.0", "1.41", false}, {"", "1.41", false}, {"x", "1.41", false},
	} {
		if got := olderThan(c.version, c.than); got != c.want {
			t.Errorf("%s older than %s: %v", c.version, c.than, got)
		}
	}
}
