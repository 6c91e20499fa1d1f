package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/redact"
)

// paper is a terminal that writes into memory.
func paper() (*terminal, *bytes.Buffer) {
	var text bytes.Buffer
	secrets := redact.New()
	w := &redacted{&text, secrets}
	return &terminal{out: w, err: w, secrets: secrets, start: time.Now()}, &text
}

func TestALineIsPrintedPerEventAndChatterIsNot(t *testing.T) {
	terminal, text := paper()
	p := newProgress(terminal, false)
	step := func(what plan.Happening, line string, elapsed time.Duration) {
		p.event(plan.Event{What: what, Step: "create a", Line: line, Elapsed: elapsed})
	}
	step(plan.Started, "", 0)
	step(plan.Waiting, "new", time.Second)
	step(plan.Waiting, "new", 2*time.Second)
	step(plan.Progress, "Unpacking docker.io (20.10.24) ...", 3*time.Second)
	step(plan.Progress, "started web-1", 4*time.Second)
	step(plan.Done, "", 5*time.Second)
	p.event(plan.Event{What: plan.Failed, Step: "create b", Err: errors.New("no")})
	p.event(plan.Event{What: plan.Skipped, Step: "create c", Line: "it rests on create b"})
	p.close()
	want := `cloudship: create a ...
cloudship: create a: new (1s)
cloudship: create a: started web-1 (4s)
cloudship: create a: done (5s)
cloudship: create b: failed
cloudship: create c: not begun: it rests on create b
`
	if text.String() != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
}

func TestWhatIsSilentForLongSaysThatItStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal, text := paper()
		p := newProgress(terminal, false)
		done := p.busy("build shop")
		p.detail("build shop", "Step 3/9 : RUN make")
		<-time.After(3 * heartbeat)
		synctest.Wait()
		done()
		<-time.After(3 * heartbeat)
		p.close()
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		if len(lines) < 2 || len(lines) > 3 {
			t.Errorf("%d lines in three heartbeats:\n%s", len(lines), text)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "cloudship: build shop: still at it, ") || !strings.HasSuffix(line, ": Step 3/9 : RUN make") {
				t.Errorf("line is %q", line)
			}
		}
	})
}

func TestVerboseTellsChatterToo(t *testing.T) {
	terminal, text := paper()
	p := newProgress(terminal, true)
	p.detail("build shop", "Step 3/9 : RUN make")
	p.event(plan.Event{What: plan.Progress, Step: "a", Line: "Unpacking x"})
	p.close()
	if want := "cloudship:   Step 3/9 : RUN make\ncloudship: a: Unpacking x\n"; text.String() != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

func TestProgressIsRedacted(t *testing.T) {
	terminal, text := paper()
	terminal.secrets.Add("hidden-value")
	p := newProgress(terminal, false)
	p.event(plan.Event{What: plan.Progress, Step: "a", Line: "the password is hidden-value"})
	terminal.table(func(row func(string, ...any)) { row("a\t%s\tb", "hidden-value") })
	terminal.streams()
	p.event(plan.Event{What: plan.Failed, Step: "a", Err: errors.New("hidden-value is wrong")})
	p.close()
	if strings.Contains(text.String(), "hidden-value") {
		t.Errorf("the secret is in %q", text)
	}
}

func TestChatterIsWhatIsSaidByTheDozen(t *testing.T) {
	for _, line := range []string{"Setting up x", "Get:1 http://deb", "(Reading database ... 5%", "Step 4/9 : COPY", "  ---> 22cbe60e81e5"} {
		if !chatter.MatchString(line) {
			t.Errorf("%q is no chatter", line)
		}
	}
	for _, line := range []string{"installed docker.io 20.10", "started web-1", "waiting for cloud-init", "image a: sent 3 MB of 9 MB", "test: sh smoke.sh"} {
		if chatter.MatchString(line) {
			t.Errorf("%q is chatter", line)
		}
	}
}
