package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/deploy"
)

type logsOptions struct {
	stackFlags
	server string
	since  string
	tail   string
	follow bool
	grep   string
}

func newLogsCommand(t *terminal, g *global) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [SERVICE...]",
		Short: "Print what containers printed, of all servers, in the order of its time",
		Long: `Print what the containers of the stack have printed, of all servers and replicas, in the order of its
time. With --follow it goes on, also with containers that take the place of others.`,
		Example: `  cloudship logs --since 10m --grep 'ERROR|panic'
  cloudship logs app --follow --server green`,
		RunE: func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), t, g, &o, args) },
	}
	o.addVars(cmd.Flags())
	completes(cmd, t, g, &o.stackFlags, -1, serviceNames)
	cmd.Flags().StringVar(&o.server, "server", "", "only this group (blue) or server (blue[0])")
	cmd.Flags().StringVar(&o.since, "since", "", "lines since then: a time (2026-01-31T12:00:00Z), or so long ago (10m)")
	cmd.Flags().StringVarP(&o.tail, "tail", "n", "200", "the last so many lines of each container, or all")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().StringVar(&o.grep, "grep", "", "only lines that match this regular expression")
	return cmd
}

func runLogs(ctx context.Context, t *terminal, g *global, o *logsOptions, services []string) error {
	want, err := o.lines(services)
	if err != nil {
		return err
	}
	var match *regexp.Regexp
	if o.grep != "" {
		if match, err = regexp.Compile(o.grep); err != nil {
			return &usageError{fmt.Errorf("--grep: %w", err)}
		}
	}
	s, err := o.session(ctx, t, g, "logs")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	err = s.Logs(ctx, o.server, want, func(l deploy.LogLine) {
		if match == nil || match.MatchString(l.Text) {
			t.logLine(l)
		}
	})
	if err == nil && ctx.Err() != nil && !o.follow {
		return context.Cause(ctx)
	}
	return err
}

// lines reads the flags that say which lines are wanted.
func (o *logsOptions) lines(services []string) (deploy.LogOptions, error) {
	want := deploy.LogOptions{Services: services, Follow: o.follow}
	if o.since != "" {
		at, err := time.Parse(time.RFC3339, o.since)
		if ago, e := time.ParseDuration(o.since); e == nil {
			at, err = time.Now().Add(-ago), nil
		}
		if err != nil {
			return want, &usageError{fmt.Errorf("--since %q: want a time, as in 2026-01-31T12:00:00Z, or how long ago, as in 10m", o.since)}
		}
		want.Since = at
	}
	if o.tail != "all" {
		n, err := strconv.Atoi(o.tail)
		if err != nil || n < 1 {
			return want, &usageError{fmt.Errorf("--tail %q: want a number of lines, or all", o.tail)}
		}
		want.Tail = n
	}
	return want, nil
}

// logLine prints a container's line behind the name of its container, in that one's colour.
func (t *terminal) logLine(l deploy.LogLine) {
	if t.json {
		t.object("log_line", l.Text, map[string]any{"line": l})
		return
	}
	name := fmt.Sprintf("%s[%d] %s.%d", l.Server.Name, l.Server.Index, l.Service, l.Number)
	if !t.color {
		t.print("%s %s | %s\n", l.At.UTC().Format(time.RFC3339), name, l.Text)
		return
	}
	t.print("\x1b[2m%s\x1b[0m \x1b[%dm%s |\x1b[0m %s\n", l.At.Local().Format(time.TimeOnly), inkOf(name), name, l.Text)
}

// inkOf is the colour of a container's name: always the same for the same one.
func inkOf(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return 31 + int(h.Sum32()%6)
}
