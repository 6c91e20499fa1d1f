package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/template"
)

func newValidateCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the stack file and its templates, without asking any cloud",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runValidate(cmd.Context(), t, g, &f) },
	}
	f.addVars(cmd.Flags())
	return cmd
}

func runValidate(ctx context.Context, t *terminal, g *global, f *stackFlags) error {
	options, err := f.options(ctx, t, g, "validate")
	if err != nil {
		return err
	}
	s, found, err := engine.Validate(ctx, options)
	if err != nil {
		return err
	}
	if err := t.diagnose(found); err != nil {
		return err
	}
	text := fmt.Sprintf("stack %s is valid: %d templates, %d groups, %d load balancers", s.Name, len(s.Templates), len(s.Groups), len(s.LoadBalancers))
	if t.json {
		t.object("valid", text, nil)
		return nil
	}
	t.print("%s\n", text)
	return nil
}

// diagnose tells what is to be said about templates. Where an error is among it, the answer is a
// silent one with its exit code.
func (t *terminal) diagnose(found template.Diagnostics) error {
	failed := false
	for _, d := range found {
		t.diagnostic(string(d.Severity), d.Place.String(), d.Text(), d.Hint, exitError)
		failed = failed || d.Severity == template.SeverityError
	}
	if failed {
		return &codeError{code: exitError}
	}
	return nil
}
