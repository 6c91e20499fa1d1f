package deploy

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// ExecOptions say what is run in a container, and between which streams.
type ExecOptions struct {
	Service string
	Number  int // of the container; 0: the first that runs
	Command []string
	User    string
	Stdin   io.Reader     // nil: nothing
	Stdout  io.Writer     // also of a terminal
	Stderr  io.Writer     // without a terminal
	Screen  remote.Screen // a terminal; zero: none
}

// Exec runs a command in a container of a server and gives its exit code.
func (d *Driver) Exec(ctx context.Context, server resource.Found, enrolled bool, o ExecOptions) (int, error) {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return 0, err
	}
	e, err := d.hosts.engine(ctx, host)
	if err != nil {
		return 0, err
	}
	defer func() { _ = e.Close() }()
	id, err := e.running(ctx, server.Mark.Address, o.Service, o.Number)
	if err != nil {
		return 0, err
	}
	return e.attach(ctx, id, o)
}

// running finds the running container of a service.
func (e *engine) running(ctx context.Context, server resource.Address, service string, number int) (string, error) {
	list, err := e.containers(ctx)
	if err != nil {
		return "", err
	}
	services := map[string]bool{}
	for _, c := range list {
		name, n := c.Config.Labels[composeService], numberOf(c.Config.Labels)
		services[name] = true
		if name == service && c.State.Running && (number == 0 || n == number) {
			return c.ID, nil
		}
	}
	if !services[service] {
		return "", resource.WithHint(fmt.Errorf("%s runs no service %q", server, service), "'cloudship status' lists what runs where")
	}
	if number > 0 {
		return "", fmt.Errorf("%s: container %d of service %s does not run", server, number, service)
	}
	return "", fmt.Errorf("%s: no container of service %s runs", server, service)
}

// fit keeps the terminal of a command the size of the screen. Engines before 23 take no size at the
// start, and none before the command runs.
func (e *engine) fit(ctx context.Context, exec string, s remote.Screen, ended <-chan struct{}) {
	resize := func(size remote.Size) error {
		_, err := e.ExecResize(ctx, exec, client.ExecResizeOptions{Height: uint(size.Height), Width: uint(size.Width)})
		return err
	}
	for range 20 {
		if resize(s.Size) == nil || pause(ctx, 50*time.Millisecond) != nil {
			break
		}
	}
	for {
		select {
		case size := <-s.Resized:
			_ = resize(size)
		case <-ended:
			return
		}
	}
}

// attach runs a command between streams.
func (e *engine) attach(ctx context.Context, id string, o ExecOptions) (int, error) {
	name := strings.Join(o.Command, " ")
	tty := o.Screen.Kind != ""
	size := client.ConsoleSize{Height: uint(o.Screen.Height), Width: uint(o.Screen.Width)}
	create := client.ExecCreateOptions{User: o.User, TTY: tty, AttachStdin: o.Stdin != nil, AttachStdout: true, AttachStderr: true, Cmd: o.Command}
	if tty {
		create.Env, create.ConsoleSize = []string{"TERM=" + o.Screen.Kind}, size
	}
	created, err := e.ExecCreate(ctx, id, create)
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", name, err)
	}
	options := client.ExecAttachOptions{TTY: tty}
	if tty {
		options.ConsoleSize = size
	}
	attached, err := e.ExecAttach(ctx, created.ID, options)
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", name, err)
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	if o.Stdin != nil {
		go func() { // it is left behind where the command ends first: a terminal gives no end
			_, _ = io.Copy(attached.Conn, o.Stdin)
			_ = attached.CloseWrite()
		}()
	}
	ended := make(chan struct{})
	defer close(ended)
	if tty {
		go e.fit(ctx, created.ID, o.Screen, ended)
		_, err = io.Copy(o.Stdout, attached.Reader)
	} else {
		_, err = stdcopy.StdCopy(o.Stdout, o.Stderr, attached.Reader)
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("run %s: %w", name, context.Cause(ctx))
	}
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", name, err)
	}
	state, err := e.ended(ctx, created.ID)
	return state.ExitCode, err
}
