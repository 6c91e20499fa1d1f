package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
)

type initOptions struct {
	provider string
	newKey   bool
}

func newInitCommand(t *terminal, g *global) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Begin a stack in this folder: a stack file to change, and the key that seals its secrets",
		Long: `Write a commented cloudship.hcl, what keeps state and secrets out of the repository (.gitignore),
and a compose.yaml where there is none. Nothing that is there is overwritten.

The sealing key is made at a terminal, or with --new-key; elsewhere it comes from CLOUDSHIP_KEY.`,
		Example: "  cloudship init shop --provider digitalocean",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := engine.NameFor(g.dir)
			if len(args) == 1 {
				name = args[0]
			}
			return runInit(t, g, &o, name)
		},
	}
	cmd.Flags().StringVar(&o.provider, "provider", "digitalocean", "the cloud to begin with")
	cmd.Flags().BoolVar(&o.newKey, "new-key", false, "make a sealing key although nobody is at a terminal")
	return cmd
}

func runInit(t *terminal, g *global, o *initOptions, name string) error {
	written, err := engine.Init(g.dir, name, o.provider)
	if err != nil {
		return err
	}
	var key string
	if o.newKey || t.interactive {
		if key, err = engine.MakeKey(g.dir, name); err != nil {
			return err
		}
	}
	if t.json {
		t.object("initialised", fmt.Sprintf("stack %s", name), map[string]any{"stack": name, "files": written, "key": key})
		return nil
	}
	for _, file := range written {
		t.say("wrote %s", file)
	}
	if key != "" {
		t.say("made the sealing key %s; keep a copy: without it neither secrets nor servers can be reached", key)
	}
	t.say("next: change cloudship.hcl to your taste, then 'cloudship plan'; without an account: 'cloudship lab up'")
	return nil
}
