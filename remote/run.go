package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// stderrTail is how much of stderr an ExitError keeps, in bytes.
const stderrTail = 2048

// Output is what a command wrote.
type Output struct {
	Stdout, Stderr []byte
}

// Run runs a command and answers what it wrote, also with an error. A status
// other than zero is an *ExitError, a lost connection wraps ErrClosed. When
// ctx ends, the command is killed.
func (h *Host) Run(ctx context.Context, c Command) (Output, error) {
	var stdout, stderr bytes.Buffer
	err := h.Exec(ctx, c, bytes.NewReader(c.Stdin), &stdout, &stderr)
	if errors.Is(err, errAbandoned) {
		// The session may still write to its buffers.
		return Output{}, err
	}
	return Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, err
}

// Stream runs a command and calls line for each line that it writes to stdout
// or stderr, without the line end and never twice at once.
func (h *Host) Stream(ctx context.Context, c Command, line func(string)) error {
	lines := newLineWriter(line)
	err := h.Exec(ctx, c, bytes.NewReader(c.Stdin), lines.stream(), lines.stream())
	lines.flush()
	return err
}

// Exec runs a command between streams: the general case of Run and Stream.
// It reads stdin instead of the command's own. The writers are used until it
// returns, and longer only if a cancelled command does not end; a reader that
// blocks is left behind until it answers.
func (h *Host) Exec(ctx context.Context, c Command, stdin io.Reader, stdout, stderr io.Writer) error {
	id := rand.Text()
	text := c.tagged(id).line(h.target.login())
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("run %s on %s: a NUL byte cannot be in a command", c.Name(), h.target.Address)
	}
	select {
	case h.sessions <- struct{}{}:
		defer func() { <-h.sessions }()
	case <-ctx.Done():
		return fmt.Errorf("run %s on %s: %w", c.Name(), h.target.Address, ctx.Err())
	}
	line := h.line.Load()
	session, err := line.openSession(ctx)
	if err != nil {
		return fmt.Errorf("run %s on %s: %w", c.Name(), h.target.Address, err)
	}
	tail := &tailWriter{limit: stderrTail}
	session.Stdout, session.Stderr = stdout, io.MultiWriter(stderr, tail)
	if err := feed(session, stdin, text); err != nil {
		_ = session.Close()
		return fmt.Errorf("run %s on %s: %w: %v", c.Name(), h.target.Address, ErrClosed, err)
	}
	ended := make(chan error, 1)
	if !line.start(func() { ended <- session.Wait() }) {
		_ = session.Close()
		return fmt.Errorf("run %s on %s: %w", c.Name(), h.target.Address, ErrClosed)
	}
	defer func() { _ = session.Close() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		return h.abandon(ctx, c, id, session, ended)
	}
	return h.outcome(c, err, tail)
}

// feed starts the command and copies stdin to it. The copy is not waited for: a
// command may end without having read everything, and a terminal gives no end.
func feed(session *ssh.Session, stdin io.Reader, text string) error {
	pipe, err := session.StdinPipe()
	if err != nil {
		return err
	}
	if err := session.Start(text); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(pipe, stdin)
		_ = pipe.Close()
	}()
	return nil
}

// outcome gives a command's end its error.
func (h *Host) outcome(c Command, err error, tail *tailWriter) error {
	if err == nil {
		return nil
	}
	failed := &ExitError{Address: h.target.Address, Command: c.Name(), Code: -1, Stderr: tail.lines()}
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		failed.Code, failed.Signal = exit.ExitStatus(), exit.Signal()
		return failed
	}
	return fmt.Errorf("%w: %w: %v", failed, ErrClosed, err)
}
