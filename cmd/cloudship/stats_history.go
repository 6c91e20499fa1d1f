package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/deploy/sampler"
)

// runHistory shows what servers have kept of their last time.
func runHistory(ctx context.Context, t *terminal, g *global, o *statsOptions) error {
	last, err := span(o.since)
	if err != nil {
		return &usageError{fmt.Errorf("--since %q: want so long as 30m, 24h or 7d", o.since)}
	}
	if o.follow {
		return &usageError{fmt.Errorf("--since shows what was, --follow what is: say one of them")}
	}
	s, err := o.session(ctx, t, g, "stats")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	all, err := s.StatsHistory(ctx, o.server, last)
	if err != nil {
		return err
	}
	failed := false
	for _, one := range all {
		failed = failed || one.Problem != ""
		if t.json {
			t.object("stats_history", one.Server.String(), map[string]any{"history": one})
		}
	}
	if !t.json {
		t.table(func(row func(string, ...any)) {
			for _, one := range all {
				printUsed(row, one)
			}
		})
	}
	if failed {
		return &codeError{code: exitError}
	}
	return nil
}

var spanOfDays = regexp.MustCompile(`^([0-9]{1,4})d$`)

// span reads how long something lasts: 90s, 24h, 7d.
func span(text string) (time.Duration, error) {
	if m := spanOfDays.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < time.Second {
		err = strconv.ErrRange
	}
	return d, err
}

func printUsed(row func(format string, args ...any), h deploy.ServerHistory) {
	if h.Problem != "" {
		row("%s\t%s\t\t\t\t", h.Server, h.Problem)
		return
	}
	row("%s, %d samples\tCPU %%: LEAST, AVERAGE, MOST\t\tMEMORY: LEAST, AVERAGE, MOST\t\tNET IN / OUT\tBLOCK READ / WRITE", h.Server, h.Samples)
	for _, s := range h.Series {
		name, block := "  the server", ""
		if s.Service != "" {
			name, block = fmt.Sprintf("  %s.%d", s.Service, s.Number), bytesOf(s.BlockRead)+" / "+bytesOf(s.BlockWrite)
		}
		cpu := h.Spark(s.Points, func(p sampler.Point) float64 { return p.CPU }, deploy.HistoryPoints)
		memory := h.Spark(s.Points, func(p sampler.Point) float64 { return p.Memory }, deploy.HistoryPoints)
		row("%s\t%.1f  %.1f  %.1f\t%s\t%s  %s  %s\t%s\t%s / %s\t%s", name, s.CPU.Min, s.CPU.Avg, s.CPU.Max, cpu,
			bytesOf(int64(s.Memory.Min)), bytesOf(int64(s.Memory.Avg)), bytesOf(int64(s.Memory.Max)), memory, bytesOf(s.NetIn), bytesOf(s.NetOut), block)
		if s.OOMKills > 0 {
			row("  ! processes killed for want of memory in that time: %d\t\t\t\t\t\t", s.OOMKills)
		}
	}
	if h.Torn > 0 {
		row("  ! lines that could not be read: %d\t\t\t\t\t\t", h.Torn)
	}
}
