package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
)

// copyLogs unwraps a container's output; that of a container with a terminal is not wrapped.
func copyLogs(to io.Writer, from io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(from, 1<<20))
	if err != nil {
		return err
	}
	var plain bytes.Buffer
	if _, err := stdcopy.StdCopy(&plain, &plain, bytes.NewReader(raw)); err != nil {
		_, err = to.Write(raw)
		return err
	}
	_, err = io.Copy(to, &plain)
	return err
}

// exitError says that a command in a container ended with another status than zero.
type exitError struct {
	command, output string
	code            int
}

func (e *exitError) Error() string {
	text := fmt.Sprintf("%s: exit %d", e.command, e.code)
	if e.output != "" {
		text += ": " + lastLines(e.output, 10)
	}
	return text
}

// exec runs a command in a container and gives what it printed.
func (e *engine) exec(ctx context.Context, id string, o client.ExecCreateOptions, stdin io.Reader) (string, error) {
	o.AttachStdout, o.AttachStderr, o.AttachStdin = true, true, stdin != nil
	created, err := e.ExecCreate(ctx, id, o)
	if err != nil {
		return "", fmt.Errorf("run %s: %w", strings.Join(o.Cmd, " "), err)
	}
	attached, err := e.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", fmt.Errorf("run %s: %w", strings.Join(o.Cmd, " "), err)
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	if stdin != nil {
		if _, err := io.Copy(attached.Conn, stdin); err != nil {
			return "", fmt.Errorf("run %s: its input: %w", strings.Join(o.Cmd, " "), err)
		}
		_ = attached.CloseWrite()
	}
	var output bytes.Buffer
	_, err = stdcopy.StdCopy(&output, &output, attached.Reader)
	if ctx.Err() != nil {
		return output.String(), errors.Join(fmt.Errorf("run %s: %w", strings.Join(o.Cmd, " "), context.Cause(ctx)), e.kill(context.WithoutCancel(ctx), created.ID))
	}
	if err != nil {
		return output.String(), fmt.Errorf("run %s: %w", strings.Join(o.Cmd, " "), err)
	}
	ended, err := e.ended(ctx, created.ID)
	if err != nil {
		return output.String(), err
	}
	if ended.ExitCode != 0 {
		return output.String(), &exitError{strings.Join(o.Cmd, " "), output.String(), ended.ExitCode}
	}
	return output.String(), nil
}

// killTree ends a process and its children; one that is gone is no error.
const killTree = `for child in $(ps -o pid= --ppid "$1" 2>/dev/null); do kill -KILL "$child" 2>/dev/null || true; done
kill -KILL "$1" 2>/dev/null || true`

// kill ends a command in a container that has had its time. The engine's API cannot do that: it is
// done on the host.
func (e *engine) kill(ctx context.Context, exec string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	state, err := e.ExecInspect(ctx, exec, client.ExecInspectOptions{})
	if err == nil && state.Running && state.PID > 0 {
		_, err = e.host.Run(ctx, remote.Script(killTree, strconv.Itoa(state.PID)).AsRoot())
	}
	if err != nil {
		return fmt.Errorf("and it was not ended: %w", err)
	}
	return nil
}

// ended waits for the exit status: the output may end a moment before the process is reaped.
func (e *engine) ended(ctx context.Context, exec string) (client.ExecInspectResult, error) {
	for {
		state, err := e.ExecInspect(ctx, exec, client.ExecInspectOptions{})
		if err != nil || !state.Running {
			return state, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return state, err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastLines is the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
