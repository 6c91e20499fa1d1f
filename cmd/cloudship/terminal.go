package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/redact"
)

// terminal is where the program reads from and writes to. What was asked for goes to out, all else
// to err with the prefix "cloudship:". Every byte passes the redactor.
type terminal struct {
	in          *os.File
	out, err    io.Writer
	interactive bool // somebody can answer questions
	color       bool
	json        bool
	begun       bool // the JSON stream has begun
	secrets     *redact.Redactor

	mu    sync.Mutex
	start time.Time
	lines func() // wipes what a live display shows, before other lines
}

func newTerminal(in, out, err *os.File) *terminal {
	secrets := redact.New()
	ci := os.Getenv("CI") != "" && os.Getenv("CI") != "false"
	t := &terminal{
		in: in, out: &redacted{out, secrets}, err: &redacted{err, secrets}, secrets: secrets, start: time.Now(),
		interactive: term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(err.Fd())) && !ci,
	}
	t.color = term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

// redacted removes secrets from whole writes: everything here writes whole lines.
type redacted struct {
	w       io.Writer
	secrets *redact.Redactor
}

func (r *redacted) Write(b []byte) (int, error) {
	if _, err := r.w.Write(r.secrets.Bytes(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// say tells a line of progress.
func (t *terminal) say(format string, args ...any) {
	t.line("info", fmt.Sprintf(format, args...), nil)
}

// warn tells what the user should know.
func (t *terminal) warn(text string) { t.line("warn", "warning: "+text, nil) }

func (t *terminal) line(level, text string, fields map[string]any) {
	if t.json {
		all := map[string]any{"@level": level}
		for k, v := range fields {
			all[k] = v
		}
		kind, _ := all["type"].(string)
		t.object(or(kind, "log"), text, all)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines != nil {
		t.lines()
	}
	for _, l := range strings.Split(text, "\n") {
		_, _ = fmt.Fprintf(t.err, "cloudship: %s\n", l)
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fail tells an error and what to do next.
func (t *terminal) fail(err error, code int) {
	var diagnostics *engine.DiagnosticsError
	if errors.As(err, &diagnostics) && !t.json {
		_ = diagnostics.Print(t.err, t.color)
		return
	}
	hint := hintOf(err)
	if t.json {
		t.line("error", err.Error(), map[string]any{"type": "diagnostic", "severity": "error", "hint": hint, "exit_code": code})
		return
	}
	t.line("error", "error: "+err.Error(), nil)
	if hint != "" {
		t.line("error", "hint: "+hint, nil)
	}
}

// ask puts a question that only "yes" answers.
func (t *terminal) ask(question string) (bool, error) {
	if !t.interactive {
		return false, &usageError{errors.New("nobody is there to say yes: use --auto-approve (-y), or save the plan with 'plan --out FILE' and apply that")}
	}
	_, _ = fmt.Fprintf(t.err, "%s Only 'yes' is taken: ", question)
	var answer string
	_, err := fmt.Fscanln(t.in, &answer)
	if err != nil && answer == "" {
		return false, nil
	}
	return answer == "yes", nil
}
