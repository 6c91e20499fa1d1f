package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/cloudship/cloudship/redact"
)

// terminal is where the program reads from and writes to. What was asked for goes to out, all else
// to err with the prefix "cloudship:". Every byte passes the redactor.
type terminal struct {
	in          *os.File
	out, err    io.Writer
	screen      *os.File // what err writes to, for live lines
	interactive bool     // somebody can answer questions
	color       bool     // out may show colours
	colorErr    bool     // err may
	liveErr     bool     // err may show lines that move
	json        bool
	begun       bool // the JSON stream has begun
	secrets     *redact.Redactor
	start       time.Time
	progress    *progress   // of the command that runs; nil before
	walking     atomic.Bool // a plan is being done

	mu   sync.Mutex
	live *live // what is shown of what runs; nil where nothing runs or the terminal cannot
}

func newTerminal(in, out, err *os.File) *terminal {
	secrets := redact.New()
	ci := os.Getenv("CI") != "" && os.Getenv("CI") != "false"
	t := &terminal{
		in: in, out: &redacted{out, secrets}, err: &redacted{err, secrets}, screen: err, secrets: secrets, start: time.Now(),
		interactive: term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(err.Fd())) && !ci,
		color:       colorful(out), colorErr: colorful(err),
	}
	t.liveErr = term.IsTerminal(int(err.Fd())) && !ci && os.Getenv("TERM") != "dumb"
	return t
}

// colorful reports whether a file is a terminal that may show colours.
func colorful(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// streams makes the terminal print a stream of objects instead of lines.
func (t *terminal) streams() { t.json, t.liveErr = true, false }

// close ends what is shown.
func (t *terminal) close() {
	if t.progress != nil {
		t.progress.close()
		t.progress = nil
	}
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
func (t *terminal) warn(text string) { t.diagnostic("warning", "", text, "", exitDone) }

// line tells what is no result: to err, or as an object of the stream with these fields.
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
	var lines strings.Builder
	for _, l := range strings.Split(text, "\n") {
		fmt.Fprintf(&lines, "cloudship: %s\n", l)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live != nil {
		_, _ = t.live.screen.Write(t.secrets.Bytes([]byte(lines.String())))
		return
	}
	_, _ = io.WriteString(t.err, lines.String())
}

// print writes what was asked for, where no stream of objects is wanted.
func (t *terminal) print(format string, args ...any) {
	if t.json {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
	_, _ = fmt.Fprintf(t.out, format, args...)
}

// write writes what was asked for in one piece, so that no secret is parted.
func (t *terminal) write(print func(io.Writer)) {
	var text bytes.Buffer
	print(&text)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
	_, _ = t.out.Write(text.Bytes())
}

// table writes rows of columns that are parted by tabs.
func (t *terminal) table(rows func(row func(format string, args ...any))) {
	t.write(func(out io.Writer) {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		rows(func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) })
		_ = w.Flush()
	})
}

// result writes what was asked for: a line, or an object of the stream.
func (t *terminal) result(kind, text string, fields map[string]any) {
	if t.json {
		t.object(kind, text, fields)
		return
	}
	t.print("%s\n", text)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// ask puts a question that only "yes" answers.
func (t *terminal) ask(ctx context.Context, question string) (bool, error) {
	if !t.interactive || t.json {
		return false, &usageError{errors.New("nobody is there to say yes: use --auto-approve (-y), or save the plan with 'plan --out FILE' and apply that")}
	}
	answer, err := t.prompt(ctx, question+" Only 'yes' is taken: ", false)
	return answer == "yes", err
}

// prompt asks for a line, unseen where it is secret. The end of the input is an empty answer.
func (t *terminal) prompt(ctx context.Context, question string, secret bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
	_, _ = io.WriteString(t.err, question)
	before, err := term.GetState(int(t.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		if secret {
			b, err := term.ReadPassword(int(t.in.Fd()))
			answered <- answer{string(b), err}
			return
		}
		line, err := bufio.NewReader(t.in).ReadString('\n')
		answered <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case a := <-answered:
		if secret || errors.Is(a.err, io.EOF) {
			_, _ = io.WriteString(t.err, "\n")
		}
		if errors.Is(a.err, io.EOF) {
			a.err = nil
		}
		return a.text, a.err
	case <-ctx.Done(): // the read stays behind; the program ends
		_, _ = io.WriteString(t.err, "\n")
		return "", errors.Join(context.Cause(ctx), term.Restore(int(t.in.Fd()), before))
	}
}
