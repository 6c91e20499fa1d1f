package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/resource"
)

type execOptions struct {
	stackFlags
	server string
	number int
	user   string
}

func newExecCommand(t *terminal, g *global) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec SERVICE -- COMMAND [ARG...]",
		Short: "Run a command in a container of a service",
		Long: `Run a command in a running container of a service: on the server that is named, else on one of the live
group. At a terminal the command has one too. Its exit code is that of cloudship.`,
		Example: `  cloudship exec app -- sh
  cloudship exec --server green[0] db -- pg_dump shop > shop.sql`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExec(cmd.Context(), t, g, &o, args[0], args[1:])
		},
	}
	o.addVars(cmd.Flags())
	cmd.SetFlagErrorFunc(beforeDash)
	completes(cmd, t, g, &o.stackFlags, 0, serviceNames)
	cmd.Flags().StringVar(&o.server, "server", "", "only this group (blue) or server (blue[0])")
	cmd.Flags().IntVar(&o.number, "number", 0, "the container's number among its service's; the first that runs when left out")
	cmd.Flags().StringVarP(&o.user, "user", "u", "", "who runs it in the container")
	return cmd
}

// beforeDash explains a flag that was meant for the command elsewhere.
func beforeDash(_ *cobra.Command, err error) error {
	return resource.WithHint(&usageError{err}, "flags of the command come after --, as in: cloudship exec app -- ls -l")
}

func runExec(ctx context.Context, t *terminal, g *global, o *execOptions, service string, command []string) error {
	s, err := o.session(ctx, t, g, "exec")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	screen, back, err := t.handOver(os.Stdout)
	if err != nil {
		return err
	}
	stdout, stderr, done := t.outlets(screen)
	code, err := s.Exec(ctx, o.server, deploy.ExecOptions{
		Service: service, Number: o.number, Command: command, User: o.user, Stdin: t.in, Stdout: stdout, Stderr: stderr, Screen: screen,
	})
	done()
	back()
	if err != nil {
		return err
	}
	if code != 0 {
		return &codeError{code: code}
	}
	return nil
}
