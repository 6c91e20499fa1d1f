package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/resource"
)

func newStateCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{Use: "state", Short: "The stack's memory: list, show, history, rebuild"}
	f.add(cmd.PersistentFlags())
	run := func(name string, do func(*cobra.Command, *engine.Session, []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			options, err := f.given(t, g, "state "+name)
			if err != nil {
				return err
			}
			options.Looking = name != "rebuild"
			s, err := engine.Open(cmd.Context(), options)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			return do(cmd, s, args)
		}
	}
	show := &cobra.Command{Use: "show [ADDRESS]", Short: "Print what is remembered of a resource, or everything", Args: cobra.MaximumNArgs(1),
		RunE: run("show", func(_ *cobra.Command, s *engine.Session, args []string) error { return showState(t, s.Memory(), args) })}
	completes(show, t, g, &f, 0, addressNames)
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the resources that are remembered", Args: cobra.NoArgs,
			RunE: run("list", func(_ *cobra.Command, s *engine.Session, _ []string) error { return listState(t, s.Memory()) })},
		show,
		&cobra.Command{Use: "history", Short: "Who did what, when; and whether the chain of snapshots holds", Args: cobra.NoArgs,
			RunE: run("history", func(cmd *cobra.Command, s *engine.Session, _ []string) error { return historyOfState(cmd, t, s) })},
		&cobra.Command{Use: "rebuild", Short: "Make a lost state anew from what bears this stack's marks, in clouds and on hosts", Args: cobra.NoArgs,
			RunE: run("rebuild", func(cmd *cobra.Command, s *engine.Session, _ []string) error {
				memory, err := s.Rebuild(cmd.Context())
				if err != nil {
					return err
				}
				t.say("the state of %s was made anew: %d resources, %d releases; now look at 'cloudship plan'", memory.Stack, len(memory.Records), len(memory.Releases))
				return nil
			})},
	)
	return cmd
}

func listState(t *terminal, m resource.Memory) error {
	addresses := slices.SortedFunc(maps.Keys(m.Records), resource.Address.Compare)
	if t.json {
		for _, a := range addresses {
			t.object("resource", a.String(), map[string]any{"address": a, "record": m.Records[a]})
		}
		return nil
	}
	t.table(func(row func(string, ...any)) {
		for _, a := range addresses {
			row("%s\t%s\t%s", a, m.Records[a].ID, m.Records[a].Facts.Status)
		}
	})
	return nil
}

func showState(t *terminal, m resource.Memory, args []string) error {
	if len(args) == 0 {
		return showValue(t, "state", m)
	}
	a, err := resource.ParseAddress(args[0])
	if err != nil {
		return &usageError{err}
	}
	r, ok := m.Records[a]
	if !ok {
		return resource.WithHint(fmt.Errorf("nothing is remembered of %s", a), "'cloudship state list' lists what is")
	}
	return showValue(t, "resource", r)
}

// showValue prints what is JSON by nature: laid out for a reader, or as an object of the stream.
func showValue(t *terminal, kind string, v any) error {
	if t.json {
		t.object(kind, kind, map[string]any{kind: v})
		return nil
	}
	var err error
	t.write(func(w io.Writer) { err = writeJSON(w, v) })
	return err
}

func historyOfState(cmd *cobra.Command, t *terminal, s *engine.Session) error {
	h, err := s.History(cmd.Context())
	if err != nil {
		return err
	}
	if t.json {
		for _, one := range h.Snapshots {
			t.object("snapshot", fmt.Sprintf("%s %s", one.Serial, one.Command), map[string]any{"snapshot": one})
		}
	} else {
		t.table(func(row func(string, ...any)) {
			for _, one := range h.Snapshots {
				row("%s\t%s\t%s\t%s\t%.12s", one.Serial, one.Time.Local().Format(time.DateTime), one.Actor, one.Command, one.PlanDigest)
			}
		})
	}
	for _, finding := range h.Findings {
		t.warn(finding.Error())
	}
	if len(h.Findings) > 0 {
		return &codeError{code: exitError}
	}
	return nil
}
