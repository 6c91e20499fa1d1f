package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"golang.org/x/crypto/ssh"
)

// killGrace is how long the end of a cancelled command is waited for.
const killGrace = 5 * time.Second

// commandTag is the variable by which a command and what it started are found
// on the host, to be killed.
const commandTag = "CLOUDSHIP_COMMAND"

// killScript kills every process that carries the tag $1.
const killScript = `for file in $(grep -lszxF -- "$1" /proc/[0-9]*/environ); do
	process=${file#/proc/}
	kill -KILL "${process%/environ}" 2>/dev/null || :
done`

// errAbandoned says that a cancelled command did not end in time.
var errAbandoned = errors.New("the command did not end when it was cancelled")

// tagged is the command with its tag in the environment.
func (c Command) tagged(id string) Command {
	env := map[string]string{commandTag: id}
	maps.Copy(env, c.Env)
	c.Env = env
	return c
}

// abandon kills a cancelled command and waits a while for its end. sshd sends
// no signal to what root runs, so it is killed by another command.
func (h *Host) abandon(ctx context.Context, c Command, id string, session *ssh.Session, ended <-chan error) error {
	err := fmt.Errorf("run %s on %s: %w", c.Name(), h.target.Address, context.Cause(ctx))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
	defer cancel()
	_ = session.Signal(ssh.SIGKILL)
	h.kill(ctx, Command{Script: killScript, Argv: []string{commandTag + "=" + id}, Root: c.Root})
	_ = session.Close()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(err, errAbandoned)
	}
}

// kill runs the kill script, as well as it can within ctx. It takes no place
// among the host's commands: the one it ends still has its own.
func (h *Host) kill(ctx context.Context, c Command) {
	session, err := h.line.Load().openSession(ctx)
	if err != nil {
		return
	}
	defer func() { _ = session.Close() }()
	defer context.AfterFunc(ctx, func() { _ = session.Close() })()
	session.Stdout, session.Stderr = io.Discard, io.Discard
	_ = session.Run(c.line(h.target.login()))
}
