package lab_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/digitalocean/godo"
)

// TestMain lets this program be the background process, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "lab" && os.Args[2] == "serve" {
		if err := lab.Serve(context.Background(), os.Args[3]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// up starts a lab in the background and takes it down after the test.
func up(t *testing.T, dir string) *lab.Running {
	t.Helper()
	instant := cloud.Instant()
	if err := lab.Up(t.Context(), dir, lab.Options{Servers: lab.Paper, Faults: &instant}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Down(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	r, err := lab.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestALabInTheBackground(t *testing.T) {
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "it's a lab")
	if _, err := lab.Find(dir); !errors.Is(err, lab.ErrNotRunning) {
		t.Errorf("before it is up: %v", err)
	}
	r := up(t, dir)
	c := oceanClient(t, r.URL(lab.DigitalOcean), r.Token())
	if _, _, err := c.Tags.Create(ctx, &godo.TagCreateRequest{Name: "kept"}); err != nil {
		t.Fatal(err)
	}
	if err := lab.Up(ctx, dir, lab.Options{}); err != nil {
		t.Errorf("up again: %v", err)
	}
	if report, err := r.Report(ctx); err != nil || report.Servers != lab.Paper || report.Counts["tags"] != 1 || report.Calls != 1 {
		t.Errorf("report: %+v, %v", report, err)
	}
	env := r.Env()
	for _, line := range []string{"export DIGITALOCEAN_API_URL='" + r.URL(lab.DigitalOcean) + "'\n",
		"export DIGITALOCEAN_TOKEN='" + r.Token() + "'\n", `it'\''s a lab'` + "\n"} {
		if !strings.Contains(env, line) {
			t.Errorf("no %q in:\n%s", line, env)
		}
	}
	if s, err := r.SetFaults(ctx, []byte(`{"rules":[{"do":"fail_before","method":"GET"}]}`)); err != nil || len(s.Rules) != 1 {
		t.Errorf("faults: %+v, %v", s, err)
	}
	if _, err := r.SetFaults(ctx, []byte(`{"rules":[{"do":"explode"}]}`)); err == nil || !strings.Contains(err.Error(), "explode") {
		t.Errorf("a wrong rule: %v", err)
	}
	if _, _, err := c.Tags.Get(ctx, "kept"); status(err) != 500 {
		t.Errorf("with faults: %v", err)
	}

	// It ends and begins again as it was.
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	again := up(t, dir)
	if again.URL(lab.DigitalOcean) != r.URL(lab.DigitalOcean) || again.Token() != r.Token() {
		t.Error("it came back at another place or with another token")
	}
	if _, _, err := c.Tags.Get(ctx, "kept"); err != nil {
		t.Error(err)
	}
	var log strings.Builder
	if err := lab.Logs(ctx, dir, &log, false); err != nil || strings.Count(log.String(), "lab is up") != 2 {
		t.Errorf("log (%v):\n%s", err, &log)
	}

	if err := lab.Down(ctx, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestAKilledLabComesBack(t *testing.T) {
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "lab")
	r := up(t, dir)
	c := oceanClient(t, r.URL(lab.DigitalOcean), r.Token())
	if _, _, err := c.Tags.Create(ctx, &godo.TagCreateRequest{Name: "kept"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tag is on disk", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "cloud.json"))
		return strings.Contains(string(b), "kept")
	})
	report, err := r.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(report.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool {
		_, err := lab.Find(dir)
		return errors.Is(err, lab.ErrNotRunning)
	})
	up(t, dir)
	if _, _, err := c.Tags.Get(ctx, "kept"); err != nil {
		t.Error(err)
	}
}

func TestDownLeavesOtherFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "precious")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := lab.Down(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := lab.Up(t.Context(), dir, lab.Options{}); err == nil {
		t.Error("a lab was started in a folder with other things")
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

func TestALabThatCannotStartSaysWhy(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "lab")
	err := lab.Up(ctx, dir, lab.Options{Servers: "vapour"})
	if err == nil || !strings.Contains(err.Error(), "vapour") {
		t.Errorf("error: %v", err)
	}
	if err := lab.Down(ctx, dir); err != nil {
		t.Error(err)
	}
}
