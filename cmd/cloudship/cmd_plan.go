package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

type planOptions struct {
	stackFlags
	planFlags
	out      string
	detailed bool
	switches bool
	all      bool // plan 'destroy'
}

func newPlanCommand(t *terminal, g *global) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do, and what it costs; change nothing",
		Long: `Show what apply would do: what is made, changed, replaced and removed, what waits until its
group is idle, what changed behind our back, and what it all costs a month.

Exit codes: 0 done, 1 error, 2 there are changes (with --detailed-exitcode), 8 preflight failed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPlan(cmd.Context(), t, g, &o) },
	}
	o.stackFlags.add(cmd.Flags())
	o.planFlags.add(cmd.Flags())
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "save the plan in this file, for 'apply FILE'")
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 2 when there are changes")
	cmd.Flags().BoolVar(&o.switches, "switch", false, "plan 'apply --switch'")
	cmd.Flags().BoolVar(&o.all, "destroy", false, "plan 'destroy'")
	return cmd
}

func runPlan(ctx context.Context, t *terminal, g *global, o *planOptions) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	request.Flags.Switch, request.Destroy = o.switches, o.all
	options, err := o.options(ctx, t, g, "plan")
	if err != nil {
		return err
	}
	s, err := engine.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	p, err := s.Plan(ctx, request)
	if p != nil {
		t.plan(p)
	}
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := savePlan(s, p, o.out); err != nil {
			return err
		}
		t.say("saved: apply it with 'cloudship apply %s'", o.out)
	}
	if len(p.Unknown) > 0 {
		return &codeError{code: exitError, err: fmt.Errorf("%d things could not be asked; nothing is planned on them", len(p.Unknown))}
	}
	if o.detailed && !p.Empty() {
		return &codeError{code: exitChanges}
	}
	return nil
}

// plan prints a plan as the result of a command.
func (t *terminal) plan(p *plan.Plan) {
	if t.json {
		t.planJSON(p)
		return
	}
	t.write(func(w io.Writer) { plan.Print(w, p, style(t.color)) })
}

// savePlan writes a plan with its secrets sealed, readable by its owner alone.
func savePlan(s *engine.Session, p *plan.Plan, path string) error {
	if err := s.SealPlan(p); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return err
	}
	if !bytes.Equal(b, s.Redactor().Bytes(b)) {
		return resource.WithHint(errors.New("save the plan: a secret's value stands in it, since it is also an ordinary word or number of the stack"),
			"give the secret another value, or apply without saving the plan")
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	return nil
}

func loadPlan(path string) (*plan.Plan, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var p plan.Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%s is no saved plan: %w", path, err)
	}
	if p.Format != plan.Format {
		return nil, fmt.Errorf("%s: format %d, this program reads %d", path, p.Format, plan.Format)
	}
	return &p, nil
}
