package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func newOutputCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "output [NAME]",
		Short: "Print the stack's outputs as of the last apply, or the value of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.session(cmd.Context(), t, g, "output")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			outputs := s.Memory().Outputs
			if len(args) == 0 {
				t.outputs(s)
				return nil
			}
			o, ok := outputs[args[0]]
			if !ok {
				return fmt.Errorf("the stack has no output %q, or nothing was applied yet", args[0])
			}
			if o.Sensitive {
				return fmt.Errorf("output %s is sensitive and is not printed", args[0])
			}
			var text string
			if json.Unmarshal(o.Value, &text) != nil {
				text = string(o.Value)
			}
			t.result("output", text, map[string]any{"name": args[0], "value": o.Value})
			return nil
		},
	}
	f.add(cmd.Flags())
	return cmd
}
