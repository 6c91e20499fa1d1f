package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
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
			s, err := f.session(cmd.Context(), t, g, "state "+name)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			return do(cmd, s, args)
		}
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the resources that are remembered", Args: cobra.NoArgs,
			RunE: run("list", func(_ *cobra.Command, s *engine.Session, _ []string) error { return listState(t, s.Memory()) })},
		&cobra.Command{Use: "show [ADDRESS]", Short: "Print what is remembered of a resource, or everything", Args: cobra.MaximumNArgs(1),
			RunE: run("show", func(_ *cobra.Command, s *engine.Session, args []string) error { return showState(t, s.Memory(), args) })},
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
	if t.json {
		return writeJSON(t.out, m.Records)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, a := range slices.SortedFunc(maps.Keys(m.Records), resource.Address.Compare) {
		r := m.Records[a]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", a, r.ID, r.Facts.Status)
	}
	return w.Flush()
}

func showState(t *terminal, m resource.Memory, args []string) error {
	if len(args) == 0 {
		return writeJSON(t.out, m)
	}
	a, err := resource.ParseAddress(args[0])
	if err != nil {
		return &usageError{err}
	}
	r, ok := m.Records[a]
	if !ok {
		return resource.WithHint(fmt.Errorf("nothing is remembered of %s", a), "'cloudship state list' lists what is")
	}
	return writeJSON(t.out, r)
}

func historyOfState(cmd *cobra.Command, t *terminal, s *engine.Session) error {
	h, err := s.History(cmd.Context())
	if err != nil {
		return err
	}
	if t.json {
		b, err := json.Marshal(h.Snapshots)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.out, "%s\n", b)
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, one := range h.Snapshots {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.12s\n", one.Serial, one.Time.Local().Format(time.DateTime), one.Actor, one.Command, one.PlanDigest)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, finding := range h.Findings {
		t.warn(finding.Error())
	}
	if len(h.Findings) > 0 {
		return &codeError{code: exitError}
	}
	return nil
}
