package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
)

func newBuildCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var push bool
	cmd := &cobra.Command{
		Use:   "build [NAME...]",
		Short: "Build the images of the stack file's build blocks, in the Docker engine here",
		Long: `Build the images of the named build blocks, or of all. One that has a registry is pushed there, and with
--push every one is. 'plan' builds them as well; this is for a pipeline that builds in a step of its own
and plans with --no-build.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBuild(cmd.Context(), t, g, &f, args, push)
		},
	}
	f.addVars(cmd.Flags())
	cmd.Flags().BoolVar(&push, "push", false, "push the images to their registries")
	return cmd
}

func runBuild(ctx context.Context, t *terminal, g *global, f *stackFlags, names []string, push bool) error {
	options, err := f.options(ctx, t, g, "build")
	if err != nil {
		return err
	}
	s, err := engine.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if len(names) == 0 {
		for _, b := range s.Stack().Builds {
			names = append(names, b.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("the stack file has no build blocks: images of services with 'build' are made by plan")
	}
	for _, name := range names {
		image, tags, err := s.Build(ctx, name, push)
		if err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
		t.result("built", fmt.Sprintf("%s  %s  %s", name, image, strings.Join(tags, " ")), map[string]any{"name": name, "image": image, "tags": tags})
	}
	return nil
}
