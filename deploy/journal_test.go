package deploy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// journald is a folder that looks like a server with a journal, where the scripts run for real.
type journald struct {
	t    *testing.T
	root string
	bin  string
}

func newJournald(t *testing.T) *journald {
	t.Helper()
	root, err := os.MkdirTemp("", "j") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	j := &journald{t: t, root: root + "/", bin: filepath.Join(root, "bin")}
	for _, dir := range []string{"bin", "run/systemd/journal"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"systemctl", "journalctl"} {
		text := "#!/bin/sh\necho " + program + " \"$@\" >>" + filepath.Join(root, "called") + "\n"
		if err := os.WriteFile(filepath.Join(j.bin, program), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	socket, err := net.Listen("unix", filepath.Join(root, "run/systemd/journal/socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return j
}

func (j *journald) script(text string, args ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-euc", text, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+j.bin+":"+os.Getenv("PATH"))
	cmd.Stderr = j.t.Output()
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// want has a stack want something, and gives what was said.
func (j *journald) want(stack, keep, age string) string {
	j.t.Helper()
	state := filepath.Join(j.root, "state")
	out, err := j.script(journalScript, state, filepath.Join(state, stack), keep, age, j.root)
	if err != nil {
		j.t.Fatal(err)
	}
	return out
}

func (j *journald) config() string {
	b, _ := os.ReadFile(filepath.Join(j.root, journalConfig))
	return string(b)
}

func (j *journald) look(stack string) *resource.Journal {
	j.t.Helper()
	out, err := j.script(lookJournalScript, filepath.Join(j.root, "state", stack), filepath.Join(j.root, journalConfig))
	if err != nil {
		j.t.Fatal(err)
	}
	return parseJournal(out)
}

func TestTheLargestWishOfTheStacksOnAServerHolds(t *testing.T) {
	j := newJournald(t)
	const mb200, mb500 = "200", "500"
	has := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(j.config(), text+"\n") {
				t.Errorf("the configuration has no %s:\n%s", text, j.config())
			}
		}
	}
	looks := func(stack string, keep, age int) {
		t.Helper()
		if got := j.look(stack); got == nil || *got != (resource.Journal{KeepMB: keep, MaxAge: age}) {
			t.Errorf("%s: found %+v, want %d MB for %d s", stack, got, keep, age)
		}
	}
	if got := j.want("one", mb200, "1209600"); got != "changed" {
		t.Errorf("the first wish: %q", got)
	}
	has("Storage=persistent", "SystemMaxUse=200M", "MaxRetentionSec=1296000", "MaxFileSec=86400", "RateLimitBurst=0")
	if got := j.want("one", mb200, "1209600"); got != "" {
		t.Errorf("the same wish again: %q", got)
	}
	j.want("two", mb500, "3600")
	has("SystemMaxUse=500M", "MaxRetentionSec=1296000")
	looks("one", 200, 1209600)
	looks("two", 500, 3600)
	j.want("one", mb200, "0")
	has("MaxRetentionSec=0")
	j.want("two", "0", "0")
	has("SystemMaxUse=200M")
	if j.look("two") != nil {
		t.Error("the second stack's wish is still there")
	}
	// Somebody takes from it.
	if err := os.WriteFile(filepath.Join(j.root, journalConfig), []byte("[Journal]\nSystemMaxUse=10M\nMaxRetentionSec=0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	looks("one", 10, 0)
	j.want("one", mb200, "0")
	looks("one", 200, 0)
	j.want("one", "0", "0")
	if j.config() != "" {
		t.Errorf("nobody wants anything any more, and there is:\n%s", j.config())
	}
	called, err := os.ReadFile(filepath.Join(j.root, "called"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(called), "systemctl restart systemd-journald"); got != 6 {
		t.Errorf("the journal was restarted %d times, want once for each of 6 changes:\n%s", got, called)
	}
}

func TestAServerWithoutAJournalIsRefused(t *testing.T) {
	j := newJournald(t)
	if err := os.Remove(filepath.Join(j.root, "run/systemd/journal/socket")); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(j.root, "state")
	if _, err := j.script(journalScript, state, filepath.Join(state, "one"), "200", "0", j.root); err == nil {
		t.Error("it was accepted")
	}
	if out, err := j.script(journalScript, state, filepath.Join(state, "one"), "0", "0", j.root); err != nil || out != "" {
		t.Errorf("without a wish: %q, %v", out, err)
	}
}

func TestOnlyServicesWithoutLoggingOfTheirOwnLogToTheJournal(t *testing.T) {
	own := &template.Logging{Driver: "local"}
	r := &template.Release{Format: 1, Template: "web", Services: map[string]template.Service{"app": {}, "own": {Logging: own}}}
	before, err := r.ID()
	if err != nil {
		t.Fatal(err)
	}
	LogToJournal(r)
	after, err := r.ID()
	if err != nil {
		t.Fatal(err)
	}
	if before == after {
		t.Error("it is the same release")
	}
	if r.Services["own"].Logging != own {
		t.Error("a service that says where to is overruled")
	}
	l := r.Services["app"].Logging
	in := container.InspectResponse{HostConfig: &container.HostConfig{LogConfig: container.LogConfig{Type: l.Driver, Config: l.Options}}}
	if !journaled(in) {
		t.Errorf("%+v is not found to be in the journal", l)
	}
	if journaled(container.InspectResponse{HostConfig: &container.HostConfig{LogConfig: container.LogConfig{Type: "journald"}}}) {
		t.Error("a container without our fields cannot be found in the journal")
	}
}
