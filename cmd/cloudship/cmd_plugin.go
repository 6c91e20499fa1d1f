package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func newPluginCommand(t *terminal, _ *global) *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "Providers: those built in, and those of others"}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the providers that are built in",
			Args:  cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				for _, name := range slices.Sorted(maps.Keys(builtIn)) {
					t.print("%s\tbuilt in\n", name)
				}
				return nil
			},
		},
		&cobra.Command{
			Use:    "serve NAME",
			Short:  "Serve a built-in provider to the cloudship that started this process",
			Args:   cobra.ExactArgs(1),
			Hidden: true,
			RunE: func(_ *cobra.Command, args []string) error {
				if _, ok := builtIn[args[0]]; !ok {
					return fmt.Errorf("no built-in provider %q", args[0])
				}
				// A process that cloudship started never comes here: main serves it first.
				return &usageError{errors.New("this is a plugin: cloudship starts it, people don't")}
			},
		},
	)
	return cmd
}
