package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

type applyOptions struct {
	stackFlags
	planFlags
	approve  bool
	dry      bool
	switches bool
	restore  []string // onto servers that are made anew; nil: nothing
	others   bool
}

// add adds the flags of every verb that changes something.
func (o *applyOptions) add(fs *pflag.FlagSet) {
	o.stackFlags.add(fs)
	o.planFlags.add(fs)
	fs.BoolVarP(&o.approve, "auto-approve", "y", false, "do not ask")
	fs.BoolVar(&o.others, "with-others", false, "delete servers although other stacks live on them")
	fs.BoolVar(&o.dry, "dry-run", false, "show the plan, and do nothing")
}

func newApplyCommand(t *terminal, g *global) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply [PLAN]",
		Short: "Bring servers, balancers and the idle group to what the files say",
		Long: `Plan, show the plan, ask, and do it; or do a plan that was saved with 'plan --out'.

The live group's release is never touched: a new one goes to the idle group. With --switch the
idle group is then tested and made live: the one line for a pipeline, harmless when run twice.

Exit codes: 0 done, 1 error, 3 data would be lost that --destroy-data does not name, 4 locked,
5 the plan is stale, 6 stopped half-way (run again), 7 the release was bad and was switched back,
8 preflight failed, 9 the release was bad and was not switched.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if len(o.restore) > 0 {
					return &usageError{errors.New("a saved plan knows no --restore: apply without a plan")}
				}
				return applySaved(cmd.Context(), t, g, &o, args[0])
			}
			request, err := o.request()
			if err != nil {
				return err
			}
			request.Flags.Switch = o.switches
			command := "apply"
			if o.switches {
				command = "apply --switch"
			}
			return planAndApply(cmd.Context(), t, g, &o, command, request)
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().BoolVar(&o.switches, "switch", false, "go on to test the idle group and make it live")
	cmd.Flags().StringArrayVar(&o.restore, "restore", nil, "restore onto servers that this apply makes: latest (of every backup block), BLOCK=NAME, or none; may be repeated")
	return cmd
}

// planAndApply is the one way of all verbs that change something: lock, plan, show, ask, walk.
func planAndApply(ctx context.Context, t *terminal, g *global, o *applyOptions, command string, r engine.Request) (err error) {
	options, err := o.given(t, g, command)
	options.WithOthers = o.others
	if options.Looking = r.Destroy; err == nil && !r.Destroy {
		err = t.askFor(ctx, options)
	}
	if err != nil {
		return err
	}
	s, err := engine.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, s.Close()) }()
	if !o.dry {
		if err := s.Lock(ctx); err != nil {
			return err
		}
	}
	p, err := s.Plan(ctx, r)
	if p != nil {
		t.plan(p)
	}
	if err != nil {
		return err
	}
	restores, err := s.PlanRestores(ctx, p, o.restore)
	if err != nil {
		return err
	}
	for _, text := range restores {
		t.say("%s", text)
	}
	if o.dry {
		return unknown(p)
	}
	if p.Empty() && len(restores) == 0 {
		if err := unknown(p); err != nil {
			return err
		}
		return t.ended(ctx, s, p, plan.Result{}, nil)
	}
	if err := s.Allowed(p); err != nil {
		return err
	}
	if !o.approve {
		yes, err := t.ask(ctx, "Do this?")
		if err != nil {
			return err
		}
		if !yes {
			t.say("nothing was done")
			return &codeError{code: exitError}
		}
	}
	result, err := t.walk(ctx, s, p)
	if err == nil && done(result) {
		err = s.Restores(ctx, t.restored)
	}
	return orElse(t.ended(ctx, s, p, result, err), unknown(p))
}

// done reports whether a walk did all of its plan.
func done(r plan.Result) bool {
	return len(r.Failed) == 0 && len(r.Skipped) == 0 && !r.Interrupted && r.Outcome == ""
}

func orElse(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func unknown(p *plan.Plan) error {
	if len(p.Unknown) == 0 {
		return nil
	}
	return fmt.Errorf("%d things could not be asked, such as %s: %s", len(p.Unknown), p.Unknown[0].Address, p.Unknown[0].Reason)
}

func applySaved(ctx context.Context, t *terminal, g *global, o *applyOptions, path string) (err error) {
	p, err := loadPlan(path)
	if err != nil {
		return err
	}
	options, err := o.given(t, g, p.Command)
	if err != nil {
		return err
	}
	options.WithOthers = o.others
	s, err := engine.OpenPlan(ctx, options, p)
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, s.Close()) }()
	if err := s.Adopt(ctx, p); err != nil {
		return err
	}
	result, err := t.walk(ctx, s, p)
	return t.ended(ctx, s, p, result, err)
}

// walk does a plan.
func (t *terminal) walk(ctx context.Context, s *engine.Session, p *plan.Plan) (plan.Result, error) {
	t.walking.Store(true)
	defer t.walking.Store(false)
	return s.Apply(ctx, p)
}

// ended tells how a walk ended, and gives the error with the exit code that it means.
func (t *terminal) ended(ctx context.Context, s *engine.Session, p *plan.Plan, r plan.Result, err error) error {
	for _, f := range r.Failed {
		t.fail(failure(s, f), exitError)
	}
	took := time.Since(t.start).Round(100 * time.Millisecond)
	switch {
	case r.Outcome == plan.SwitchedBack:
		t.say("the release was bad and was switched back; the group before is live (%s)", took)
		return &codeError{code: exitSwitchedBack}
	case r.Outcome == plan.Refused:
		t.say("the release was bad and was not switched; the live group was not touched (%s)", took)
		return &codeError{code: exitRefused}
	case r.Interrupted && ctx.Err() != nil:
		t.say("stopped: %d steps done, %d not; 'cloudship apply' goes on from here", len(r.Done), len(r.Skipped))
		return orElse(context.Cause(ctx), err)
	case err != nil:
		return err
	case len(r.Failed) > 0 || len(r.Skipped) > 0:
		t.say("stopped half-way: %d steps done, %d failed, %d not begun; 'cloudship apply' goes on from here", len(r.Done), len(r.Failed), len(r.Skipped))
		return &codeError{code: failedCode(p, r)}
	}
	t.outputs(s)
	t.say("done in %s", took)
	return nil
}

// failure is why a step failed: beside its line where a field of the stack file is to blame.
func failure(s *engine.Session, f plan.StepError) error {
	var e *resource.Error
	if errors.As(f.Err, &e) && e.Field != "" {
		return s.Explain(f.Err)
	}
	return fmt.Errorf("%s: %w", f.Step, f.Err)
}

// failedCode tells a release that did not come up from all else that stopped half-way.
func failedCode(p *plan.Plan, r plan.Result) int {
	for _, f := range r.Failed {
		if f.Address.Kind() != "release" {
			return exitHalfway
		}
	}
	if len(r.Failed) > 0 {
		return exitRefused
	}
	return exitHalfway
}

// outputs prints the stack's outputs, sensitive ones by name alone.
func (t *terminal) outputs(s *engine.Session) {
	outputs, err := s.Outputs()
	if err != nil {
		t.warn(err.Error())
		return
	}
	for _, o := range outputs {
		fields := map[string]any{"name": o.Name, "sensitive": o.Sensitive}
		switch {
		case o.Value == nil:
		case o.Sensitive:
			t.result("output", o.Name+" = (sensitive)", fields)
		default:
			fields["value"] = o.Value
			t.result("output", fmt.Sprintf("%s = %s", o.Name, o.Value), fields)
		}
	}
}
