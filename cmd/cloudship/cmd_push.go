package main

import (
	"github.com/spf13/cobra"
)

func newPushCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "push [NAME...]",
		Short: "Build the images of build blocks, and push them to their registries",
		Long: `Build the images of the named build blocks, or of all, and push them: 'build --push'. What was built
before comes from the engine's cache.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBuild(cmd.Context(), t, g, &f, args, true)
		},
	}
	f.addVars(cmd.Flags())
	return cmd
}
