package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/plan"
)

func newDestroyCommand(t *terminal, g *global) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Remove everything of this stack",
		Long: `Remove everything of this stack. A server that holds data, in named volumes or folders of stateful services, is
removed only when --destroy-data names all of it; else nothing is changed (exit 3).`,
		Example: "  cloudship destroy --destroy-data db --destroy-data uploads",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := o.request()
			if err != nil {
				return err
			}
			request.Destroy = true
			return planAndApply(cmd.Context(), t, g, &o, "destroy", request)
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func newSwitchCommand(t *terminal, g *global) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "switch [BALANCER]",
		Short: "Make the idle group live, with what it runs now",
		Long: `Test the idle group, attach it, wait until it is healthy, make it live, drain and detach the
old one, and watch. A failure before that leaves all as it was (exit 9); one within the watch window
switches back by itself (exit 7).`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := o.request()
			if err != nil {
				return err
			}
			names, err := balancers(t, g, &o.stackFlags, args)
			if err != nil {
				return err
			}
			request.Flags.Move = map[string]bool{}
			for _, n := range names {
				request.Flags.Move[n] = true
			}
			return planAndApply(cmd.Context(), t, g, &o, "switch", request)
		},
	}
	o.add(cmd.Flags())
	completes(cmd, t, g, &o.stackFlags, 0, balancerNames)
	return cmd
}

func newRollbackCommand(t *terminal, g *global) *cobra.Command {
	var o applyOptions
	var to string
	cmd := &cobra.Command{
		Use:   "rollback [BALANCER]",
		Short: "Make the release before live again, or any kept one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := o.request()
			if err != nil {
				return err
			}
			names, err := balancers(t, g, &o.stackFlags, args)
			if err != nil {
				return err
			}
			request.Flags.Rollback = map[string]string{}
			for _, n := range names {
				request.Flags.Rollback[n] = to
			}
			return planAndApply(cmd.Context(), t, g, &o, "rollback", request)
		},
	}
	o.add(cmd.Flags())
	completes(cmd, t, g, &o.stackFlags, 0, balancerNames)
	cmd.Flags().StringVar(&to, "to", "", "a release's id or tag, or last-good; the one that was live before when left out")
	return cmd
}

// balancers are those that a command means: the named one, else all with two groups.
func balancers(t *terminal, g *global, f *stackFlags, args []string) ([]string, error) {
	options, err := f.given(t, g, "")
	if err != nil {
		return nil, err
	}
	options.Looking = true // for names alone
	s, err := engine.Load(options)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, b := range s.LoadBalancers {
		if len(args) == 0 && len(b.Groups) == 2 || len(args) == 1 && b.Name == args[0] {
			names = append(names, b.Name)
		}
	}
	if len(names) == 0 && len(args) == 1 {
		return nil, &usageError{fmt.Errorf("the stack has no load balancer %q", args[0])}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no load balancer of this stack has two groups to switch between")
	}
	return names, nil
}

func newScaleCommand(t *terminal, g *global) *cobra.Command {
	var o applyOptions
	var name string
	cmd := &cobra.Command{
		Use:   "scale SERVICE=N...",
		Short: "Change how many containers of a service each server runs",
		Long: `Change how many containers of a service each server runs, live or idle, whatever the template says; with
SERVICE=default it is the template's number again. Nothing is released by the way.`,
		Example: "  cloudship scale app=4",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := o.request()
			if err != nil {
				return err
			}
			wanted := map[string]int{}
			for _, a := range args {
				service, number, ok := strings.Cut(a, "=")
				n, err := strconv.Atoi(number)
				if number == "default" {
					n, err = plan.AsWritten, nil
				} else if n < 0 {
					err = strconv.ErrRange
				}
				if !ok || err != nil {
					return &usageError{fmt.Errorf("%q: want SERVICE=N, as in app=4, or app=default", a)}
				}
				wanted[service] = n
			}
			if request.Flags.Scale, err = scaleOf(t, g, &o.stackFlags, name, wanted); err != nil {
				return err
			}
			return planAndApply(cmd.Context(), t, g, &o, "scale", request)
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().StringVar(&name, "template", "", "whose services are meant, where the stack has several templates")
	return cmd
}

// scaleOf finds the template that a scale is meant for.
func scaleOf(t *terminal, g *global, f *stackFlags, name string, wanted map[string]int) (map[string]map[string]int, error) {
	options, err := f.given(t, g, "")
	if err != nil {
		return nil, err
	}
	options.Looking = true // for names alone
	s, err := engine.Load(options)
	if err != nil {
		return nil, err
	}
	if name == "" && len(s.Templates) == 1 {
		name = s.Templates[0].Name
	}
	if s.Template(name) == nil {
		return nil, &usageError{fmt.Errorf("--template %q: the stack has %d templates; name one", name, len(s.Templates))}
	}
	return map[string]map[string]int{name: wanted}, nil
}
