package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRunHookCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var server string
	cmd := &cobra.Command{
		Use:     "run-hook SERVICE HOOK [NAME=VALUE...]",
		Short:   "Run a hook of a service once more, with other arguments where they are named",
		Example: "  cloudship run-hook proxy reload --server green",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runHook(cmd.Context(), t, g, &f, server, args)
		},
	}
	f.addVars(cmd.Flags())
	completes(cmd, t, g, &f, 0, serviceNames)
	cmd.Flags().StringVar(&server, "server", "", "only this group (blue) or server (blue[0])")
	return cmd
}

func runHook(ctx context.Context, t *terminal, g *global, f *stackFlags, server string, args []string) error {
	values := map[string]string{}
	for _, arg := range args[2:] {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return &usageError{fmt.Errorf("%q: want NAME=VALUE", arg)}
		}
		values[name] = value
	}
	s, err := f.session(ctx, t, g, "run-hook")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.RunHook(ctx, server, args[0], args[1], values); err != nil {
		return err
	}
	t.say("hook %s of %s: done", args[1], args[0])
	return nil
}
