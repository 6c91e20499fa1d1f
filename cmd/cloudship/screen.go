package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/cloudship/cloudship/remote"
)

// handOver gives this terminal to a program elsewhere: keys go there as they are pressed, and its
// screen follows the size of this one. The returned function takes it back. Where input or output
// is no terminal the screen is the zero one, and nothing needs to be taken back.
func (t *terminal) handOver(out *os.File) (remote.Screen, func(), error) {
	in := int(t.in.Fd())
	if !term.IsTerminal(in) || !term.IsTerminal(int(out.Fd())) {
		return remote.Screen{}, func() {}, nil
	}
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return remote.Screen{}, nil, fmt.Errorf("ask the terminal for its size: %w", err)
	}
	before, err := term.MakeRaw(in)
	if err != nil {
		return remote.Screen{}, nil, fmt.Errorf("hand the terminal over: %w", err)
	}
	sizes := make(chan remote.Size, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-changed:
				if w, h, err := term.GetSize(int(out.Fd())); err == nil {
					select {
					case sizes <- remote.Size{Width: w, Height: h}:
					default: // the one before was not taken yet
					}
				}
			}
		}
	}()
	back := func() {
		signal.Stop(changed)
		close(done)
		_ = term.Restore(in, before)
	}
	return remote.Screen{Kind: or(os.Getenv("TERM"), "xterm"), Size: remote.Size{Width: width, Height: height}, Resized: sizes}, back, nil
}

// outlets are where a program elsewhere writes to. A screen that was handed over shows what the user
// does there as it is; everything else passes the redactor.
func (t *terminal) outlets(screen remote.Screen) (stdout, stderr io.Writer, done func()) {
	if screen.Kind != "" {
		return os.Stdout, os.Stderr, func() {}
	}
	out, err := t.secrets.Writer(os.Stdout), t.secrets.Writer(os.Stderr)
	return out, err, func() { _, _ = out.Close(), err.Close() }
}
