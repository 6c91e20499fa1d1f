package remote

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// Size is the size of a terminal in characters.
type Size struct {
	Width, Height int
}

// Screen is the terminal at this end. The zero value is none.
type Screen struct {
	Kind string // value of TERM, such as "xterm-256color"
	Size
	Resized <-chan Size // may be nil
}

// Shell opens a session between streams: the login shell, or the command where it has one. With a
// screen it has a terminal there, and stderr comes with stdout. The error is an *ExitError for a
// status other than zero. A reader that blocks is left behind until it answers.
func (h *Host) Shell(ctx context.Context, c Command, s Screen, stdin io.Reader, stdout, stderr io.Writer) error {
	select {
	case h.sessions <- struct{}{}:
		defer func() { <-h.sessions }()
	case <-ctx.Done():
		return fmt.Errorf("open a shell on %s: %w", h.target.Address, ctx.Err())
	}
	session, err := h.line.Load().openSession(ctx)
	if err != nil {
		return fmt.Errorf("open a shell on %s: %w", h.target.Address, err)
	}
	defer func() { _ = session.Close() }()
	session.Stdout, session.Stderr = stdout, stderr
	if s.Kind != "" {
		if err := session.RequestPty(s.Kind, s.Height, s.Width, ssh.TerminalModes{}); err != nil {
			return fmt.Errorf("open a terminal on %s: %w", h.target.Address, err)
		}
	}
	pipe, err := session.StdinPipe()
	if err != nil {
		return fmt.Errorf("open a shell on %s: %w", h.target.Address, err)
	}
	if len(c.Argv) > 0 || c.Script != "" {
		err = session.Start(c.line(h.target.login()))
	} else {
		err = session.Shell()
	}
	if err != nil {
		return fmt.Errorf("open a shell on %s: %w", h.target.Address, err)
	}
	go func() {
		_, _ = io.Copy(pipe, stdin)
		_ = pipe.Close()
	}()
	return h.attend(ctx, c, session, s)
}

// attend follows the size of the screen until the session ends.
func (h *Host) attend(ctx context.Context, c Command, session *ssh.Session, s Screen) error {
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	for {
		select {
		case size := <-s.Resized:
			_ = session.WindowChange(size.Height, size.Width)
		case err := <-ended:
			var exit *ssh.ExitError
			if errors.As(err, &exit) {
				return &ExitError{Address: h.target.Address, Command: c.Name(), Code: exit.ExitStatus(), Signal: exit.Signal()}
			}
			if err != nil {
				return fmt.Errorf("the shell on %s: %w: %v", h.target.Address, ErrClosed, err)
			}
			return nil
		case <-ctx.Done():
			_ = session.Close()
			<-ended
			return fmt.Errorf("the shell on %s: %w", h.target.Address, context.Cause(ctx))
		}
	}
}
