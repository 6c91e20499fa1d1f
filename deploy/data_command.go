package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// stream runs a command in a container between streams. Its error has the last of what it wrote to
// stderr. When ctx ends, the command is killed.
func (e *engine) stream(ctx context.Context, id string, o client.ExecCreateOptions, stdin io.Reader, stdout io.Writer) error {
	name := o.Cmd[0]
	o.AttachStdout, o.AttachStderr, o.AttachStdin = true, true, stdin != nil
	created, err := e.ExecCreate(ctx, id, o)
	if err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	attached, err := e.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	if stdin != nil {
		go func() { // it is left behind where the command ends first
			_, _ = io.Copy(attached.Conn, stdin)
			_ = attached.CloseWrite()
		}()
	}
	told := &lastBytes{limit: 4096}
	_, err = stdcopy.StdCopy(stdout, told, attached.Reader)
	if ctx.Err() != nil || err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		attached.Close() // so that a writer ends that nobody reads any more
		return errors.Join(fmt.Errorf("run %s: %w", name, err), e.kill(context.WithoutCancel(ctx), created.ID))
	}
	ended, err := e.ended(ctx, created.ID)
	if err != nil {
		return fmt.Errorf("run %s: how it ended: %w", name, err)
	}
	if ended.ExitCode != 0 {
		return &exitError{name, told.String(), ended.ExitCode}
	}
	return nil
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	limit int
	kept  []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p...)
	if over := len(l.kept) - l.limit; over > 0 {
		l.kept = append(l.kept[:0], l.kept[over:]...)
	}
	return len(p), nil
}

func (l *lastBytes) String() string { return strings.TrimSpace(string(l.kept)) }

// inContainer runs a script in the service's running container.
func (h *Holding) inContainer(ctx context.Context, script string, args []string, stdin io.Reader, stdout io.Writer) error {
	c, err := h.container(ctx, true)
	if err != nil {
		return err
	}
	argv := append([]string{"/bin/sh", "-euc", script, "sh"}, args...)
	return h.standing.engine.stream(ctx, c.ID, client.ExecCreateOptions{Cmd: argv}, stdin, stdout)
}

func (h *Holding) saveCommand(ctx context.Context, to io.Writer) error {
	return h.action(ctx, h.service().Backup.Run, nil, to)
}

// proveCommand has the check read a backup; without one it is read, and its sums agree.
func (h *Holding) proveCommand(ctx context.Context, from io.Reader) (how string, err error) {
	if h.data.Check == "" {
		_, err := io.Copy(io.Discard, from)
		return "read to its end, its sums agree", err
	}
	w := &whole{from: from}
	if err := w.check(h.run(ctx, h.data.Check+"\ncat >/dev/null", nil, w, io.Discard)); err != nil {
		return "", fmt.Errorf("the check of the backup: %w", err)
	}
	return "read to its end, check passed", nil
}

// restoreCommand gives a backup to the command that restores it, after it was read to its end once:
// the command is told nothing that is not known to be whole. What it does with what is there is its
// own matter.
func (h *Holding) restoreCommand(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) error {
	restore := h.service().Backup.Restore
	if restore == nil {
		return resource.WithHint(fmt.Errorf("x-cloudship.backup of service %s says no restore", h.data.Service), "write it into the template, and apply")
	}
	first, err := open(ctx)
	if err != nil {
		return err
	}
	how, err := h.proveCommand(ctx, first)
	if err := errors.Join(err, first.Close()); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	h.say(how)
	from, err := open(ctx)
	if err != nil {
		return err
	}
	w := &whole{from: from}
	err = w.check(h.action(ctx, restore, w, io.Discard))
	return errors.Join(err, from.Close())
}

// scriptFirst runs a script that is the first bytes of stdin; the rest is for the script.
const scriptFirst = `script=$(dd bs=1 count="$1" 2>/dev/null; echo x)
shift
eval "${script%x}"`

// action runs a command of x-cloudship.backup between streams.
func (h *Holding) action(ctx context.Context, hook *template.Hook, stdin io.Reader, stdout io.Writer) error {
	revealed, err := h.standing.bindHook(ctx, *hook)
	if err != nil {
		return err
	}
	ctx, cancel := withHookTimeout(ctx, revealed)
	defer cancel()
	c := hookCommand(revealed)
	if len(c.stdin) > 0 && stdin != nil {
		if c.argv[0] != "/bin/sh" {
			return fmt.Errorf("%s reads its script and the backup from one stream: write it for /bin/sh, or as a command", c.argv[0])
		}
		args := c.argv[3:] // after /bin/sh -s --
		c.argv = append([]string{"/bin/sh", "-euc", scriptFirst, "sh", strconv.Itoa(len(c.stdin))}, args...)
		stdin = io.MultiReader(bytes.NewReader(c.stdin), stdin)
	} else if len(c.stdin) > 0 {
		stdin = bytes.NewReader(c.stdin)
	}
	if hook.Where == template.OnHost {
		c.stdin = nil
		on := c.onHost()
		if stdin != nil {
			stdin = io.MultiReader(bytes.NewReader(on.Stdin), stdin)
		} else {
			stdin = bytes.NewReader(on.Stdin)
		}
		return h.standing.engine.host.Exec(ctx, on, stdin, stdout, io.Discard)
	}
	running, err := h.container(ctx, true)
	if err != nil {
		return err
	}
	o := client.ExecCreateOptions{User: hook.User, WorkingDir: hook.WorkingDir, Privileged: hook.Privileged, Cmd: c.argv, Env: c.environ()}
	return h.standing.engine.stream(ctx, running.ID, o, stdin, stdout)
}
