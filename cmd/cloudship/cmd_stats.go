package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/engine"
)

type statsOptions struct {
	stackFlags
	server   string
	follow   bool
	interval time.Duration
	since    string
}

func newStatsCommand(t *terminal, g *global) *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show what servers and containers use: CPU, memory, network, disk",
		Long: `Measure all servers and containers: load, memory and disk of each server; CPU, memory, network and block
I/O of each container. At a terminal it goes on until Ctrl-C, else it measures once; --follow says so.

With --since it shows what the servers have kept, as a stats block of the stack file has them do: least, average and most.`,
		Example: "  cloudship stats\n  cloudship stats --since 24h --server blue[0]",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.since != "" {
				return runHistory(cmd.Context(), t, g, &o)
			}
			if !cmd.Flags().Changed("follow") {
				o.follow = t.color && t.interactive && !t.json
			}
			return runStats(cmd.Context(), t, g, &o)
		},
	}
	o.addVars(cmd.Flags())
	cmd.Flags().StringVar(&o.server, "server", "", "only this group (blue) or server (blue[0])")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on measuring")
	cmd.Flags().StringVar(&o.since, "since", "", "what servers have kept of so long (24h, 7d), rather than now")
	cmd.Flags().DurationVar(&o.interval, "interval", 2*time.Second, "between two measurements")
	return cmd
}

func runStats(ctx context.Context, t *terminal, g *global, o *statsOptions) error {
	s, err := o.session(ctx, t, g, "stats")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		if err := measure(ctx, t, s, o); err != nil {
			return err
		}
		timer := time.NewTimer(o.interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// measure shows one measurement. Its error also ends a run that was to measure once.
func measure(ctx context.Context, t *terminal, s *engine.Session, o *statsOptions) error {
	all, err := s.Stats(ctx, o.server)
	if err != nil {
		if o.follow && ctx.Err() != nil {
			return nil
		}
		return err
	}
	failed := 0
	for _, one := range all {
		if one.Problem != "" {
			failed++
		}
		if t.json {
			t.object("stats", one.Server.String(), map[string]any{"stats": one})
		}
	}
	if !t.json {
		if o.follow && t.color {
			t.write(func(w io.Writer) { _, _ = io.WriteString(w, "\x1b[H\x1b[2J") })
		}
		t.table(func(row func(string, ...any)) { printStats(row, all) })
	}
	if o.follow {
		return nil
	}
	if failed > 0 {
		return &codeError{code: exitError}
	}
	return errMeasured
}

// errMeasured ends a run that was to measure once: it is no error.
var errMeasured = &codeError{code: exitDone}

func printStats(row func(format string, args ...any), all []deploy.ServerStats) {
	row("SERVER\tCPU\tMEMORY\tNET IN / OUT\tBLOCK READ / WRITE\tDISK\tSWAP")
	for _, s := range all {
		if s.Problem != "" {
			row("%s\t%s\t\t\t\t\t", s.Server, s.Problem)
			continue
		}
		row("%s\tload %.2f of %d\t%s of %s\t\t\t%s of %s\t%s", s.Server, s.Load1, s.CPUs, bytesOf(s.MemoryUsed), bytesOf(s.MemoryTotal), bytesOf(s.DiskUsed), bytesOf(s.DiskTotal), swapOf(s))
		for _, c := range s.Containers {
			row("  %s.%d\t%.1f %%\t%s of %s\t%s / %s\t%s / %s\t\t", c.Service, c.Number, c.CPU, bytesOf(c.Memory), bytesOf(c.MemoryLimit),
				bytesOf(c.NetIn), bytesOf(c.NetOut), bytesOf(c.BlockRead), bytesOf(c.BlockWrite))
		}
		for _, warning := range s.Warnings {
			row("  ! %s\t\t\t\t\t\t", warning)
		}
	}
}

func swapOf(s deploy.ServerStats) string {
	if s.SwapTotal == 0 {
		return "none"
	}
	return bytesOf(s.SwapUsed) + " of " + bytesOf(s.SwapTotal)
}

// bytesOf writes an amount for a reader: 1.5 GB.
func bytesOf(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"kB", "MB", "GB", "TB"}
	for len(names) > 1 && value >= unit {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %s", value, names[0])
}
