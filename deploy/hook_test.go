package deploy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/template"
)

func TestHookCommand(t *testing.T) {
	args := []template.Argument{{Name: "LIST", Value: "a b"}, {Value: "one"}, {Value: "two words"}}
	for _, c := range []struct {
		name  string
		hook  template.Hook
		argv  []string
		stdin string
	}{
		{"a command", template.Hook{Command: []template.Text{"nginx", "-t"}, Args: args}, []string{"nginx", "-t", "one", "two words"}, ""},
		{"a script", template.Hook{Script: "echo $1", Args: args}, []string{"/bin/sh", "-s", "--", "one", "two words"}, "echo $1"},
		{"of bash", template.Hook{Script: "#!/bin/bash -e\necho"}, []string{"/bin/bash", "-e", "-s", "--"}, "#!/bin/bash -e\necho"},
		{"of bash by env", template.Hook{Script: "#!/usr/bin/env bash\n"}, []string{"/usr/bin/env", "bash", "-s", "--"}, "#!/usr/bin/env bash\n"},
		{"of Python", template.Hook{Script: "#!/usr/bin/env -S python3 -u\nprint()", Args: args}, []string{"/usr/bin/env", "-S", "python3", "-u", "-", "one", "two words"}, "#!/usr/bin/env -S python3 -u\nprint()"},
		{"of Ruby", template.Hook{Script: "#!/usr/bin/ruby\n"}, []string{"/usr/bin/ruby", "-"}, "#!/usr/bin/ruby\n"},
		{"of nobody", template.Hook{Script: "#!\n"}, []string{"/bin/sh", "-s", "--"}, "#!\n"},
	} {
		have := hookCommand(c.hook)
		if !slices.Equal(have.argv, c.argv) || string(have.stdin) != c.stdin {
			t.Errorf("%s: %q with %q on stdin, want %q with %q", c.name, have.argv, have.stdin, c.argv, c.stdin)
		}
		if len(c.hook.Args) > 0 && !slices.Equal(have.environ(), []string{"LIST=a b"}) {
			t.Errorf("%s: its variables are %q", c.name, have.environ())
		}
	}
}

// TestVariablesOfHostHooksAreInNoProcessList runs such a command on this very machine.
func TestVariablesOfHostHooksAreInNoProcessList(t *testing.T) {
	w := newWorld(t)
	c := hookCommand(template.Hook{Script: `printf '%s|' "$SECRET" "$1"; cat`, Args: []template.Argument{{Name: "SECRET", Value: "it's $(here)\nand there"}, {Value: "x y"}}})
	remote := c.onHost()
	if strings.Contains(remote.String(), "here") {
		t.Errorf("the value is in the command: %s", remote)
	}
	out, err := w.Run(t.Context(), remote)
	if err != nil || string(out.Stdout) != "it's $(here)\nand there|x y|" {
		t.Errorf("it printed %q, %v", out.Stdout, err)
	}
}

func TestWhatRunsOncePerReleaseRunsOnce(t *testing.T) {
	d := &releases{}
	entered, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- d.once("r-1", false)(t.Context(), func() error { close(entered); <-leave; return nil })
	}()
	<-entered
	second := make(chan error, 1)
	go func() {
		second <- d.once("r-1", false)(t.Context(), func() error { t.Error("it ran twice"); return nil })
	}()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.once("r-1", false)(gone, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not want to wait any more gets %v", err)
	}
	close(leave)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	bad := errors.New("no table")
	if err := d.once("r-2", false)(t.Context(), func() error { return bad }); !errors.Is(err, bad) {
		t.Errorf("%v, want %v", err, bad)
	}
	ran := false
	if err := d.once("r-2", false)(t.Context(), func() error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("what failed is not tried again: %v", err)
	}
	if d.once("r-3", true) != nil {
		t.Error("what has run is to run again")
	}
}

func TestFilesOfTheFolder(t *testing.T) {
	w := newWorld(t)
	f := folder{host: w, root: w.root}
	r := &rollout{folder: f, now: time.Now}
	for _, mark := range []string{"r-1", "r-1-app-migrate", "r-2-app-migrate"} {
		if err := r.ran(t.Context(), mark); err != nil {
			t.Fatal(err)
		}
	}
	have, err := preparedIn(t.Context(), f)
	if err != nil || !slices.Equal(have, []string{"r-1"}) {
		t.Errorf("prepared are %q, %v", have, err)
	}
	if err := f.forget(t.Context(), "r-1"); err != nil {
		t.Fatal(err)
	}
	if have, _ := w.ListDir(t.Context(), f.path("ran")); !slices.Equal(have, []string{"r-2-app-migrate"}) {
		t.Errorf("left is %q", have)
	}
}

// A hook on what happens to its own container knows it, and those that stand already.
func TestOwnHooksKnowTheirContainer(t *testing.T) {
	w := newWorld(t)
	told := filepath.Join(t.TempDir(), "told")
	compose := `
name: shop
services:
  app:
    image: app
    environment: { VERSION: "${VERSION}" }
    deploy: { replicas: 2, update_config: { parallelism: 1 } }
    healthcheck: { test: [CMD, ask], interval: 1s, timeout: 1s, retries: 1 }
    x-cloudship:
      hooks:
        - on: [start]
          where: host
          run: 'echo "$$NAMES" >> ` + told + `'
          args: { NAMES: "{{ app | container_name }}" }
`
	w.rolled(target{release: render(t, compose, map[string]string{"VERSION": "v1"})})
	w.rolled(target{release: render(t, compose, map[string]string{"VERSION": "v2"})})
	b, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 4 || lines[0] != "shop-app-1" && lines[0] != "shop-app-1 shop-app-2" || strings.Count(lines[3], "shop-app-") != 2 {
		t.Errorf("they were told %q", lines)
	}
}
