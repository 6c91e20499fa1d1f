package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
)

func newStatusCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask clouds and servers how the stack does",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), t, g, &f) },
	}
	f.add(cmd.Flags())
	return cmd
}

func runStatus(ctx context.Context, t *terminal, g *global, f *stackFlags) error {
	s, err := f.session(ctx, t, g, "status")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if t.json {
		t.object("status", "status of "+string(status.Stack), map[string]any{"status": status})
	} else {
		t.table(func(row func(string, ...any)) { printStatus(row, status) })
	}
	if !status.Healthy {
		return &codeError{code: exitError}
	}
	return nil
}

func printStatus(row func(format string, args ...any), s *engine.Status) {
	row("stack %s", s.Stack)
	for _, b := range s.Balancers {
		row("load_balancer.%s\t%s\t%s\tlive: %s", b.Name, b.Address, b.Status, b.Live)
		for _, m := range b.Members {
			row("  member %s\t%s\t%s\t", m.Server, m.Health, m.Evidence)
		}
	}
	for _, group := range s.Groups {
		role := "idle"
		if group.Live {
			role = "live"
		}
		row("group.%s\t%s\t%s\t", group.Name, role, group.Release)
		for _, server := range group.Servers {
			row("  %s\t%s\t%s\tDocker %s", server.Address, server.PublicIP, strings.TrimSpace(server.Status+" "+server.Broken), server.Docker)
			for _, c := range server.Containers {
				row("    %s\t%s %s\t%s\t%s", c.Name, c.State, c.Health, c.PrivateIP, c.Release)
			}
		}
	}
	for _, u := range s.Unknown {
		row("unknown: %s: %s", u.Address, u.Reason)
	}
	for _, b := range s.Backups {
		row("backup.%s\t%s\t%s", b.Block, b.Target, b)
	}
	for _, line := range s.Switch {
		row("a switch is under way: %s", line)
	}
}
