package main

import (
	"context"
	"errors"
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
	until  string
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
time. With --follow it goes on, also with containers that take the place of others.

Where the stack file has a log block, the lines come from the servers' journals: those of containers
that are gone are among them. What a line would do to a terminal, other than to colour itself, is
written out.`,
		Example: `  cloudship logs --since 10m --grep 'ERROR|panic'
  cloudship logs app --follow --server green`,
		RunE: func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), t, g, &o, args) },
	}
	o.addVars(cmd.Flags())
	completes(cmd, t, g, &o.stackFlags, -1, serviceNames)
	cmd.Flags().StringVar(&o.server, "server", "", "only this group (blue) or server (blue[0])")
	cmd.Flags().StringVar(&o.since, "since", "", "lines since then: a time (2026-01-31T12:00:00Z), or so long ago (10m)")
	cmd.Flags().StringVar(&o.until, "until", "", "lines until then, said in the same ways")
	cmd.Flags().StringVarP(&o.tail, "tail", "n", "200", "the last so many lines of each container (of each service of a server with a log block), or all")
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
		l.Text = t.secrets.String(l.Text) // before anything is made of it
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
	var err error
	if want.Since, err = moment("--since", o.since); err != nil {
		return want, err
	}
	if want.Until, err = moment("--until", o.until); err != nil {
		return want, err
	}
	if o.follow && o.until != "" {
		return want, &usageError{errors.New("--follow goes on, and --until ends: want one of them")}
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

// moment reads a time that a flag says, or how long ago it is; zero where it says nothing.
func moment(flag, said string) (time.Time, error) {
	if said == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(said); err == nil {
		return time.Now().Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, said)
	if err != nil {
		return at, &usageError{fmt.Errorf("%s %q: want a time, as in 2026-01-31T12:00:00Z, or how long ago, as in 10m", flag, said)}
	}
	return at, nil
}

// logLine prints a container's line behind the name of its container, in that one's colour.
func (t *terminal) logLine(l deploy.LogLine) {
	if t.json {
		t.object("log_line", l.Text, map[string]any{"line": l})
		return
	}
	name := fmt.Sprintf("%s[%d] %s.%d", l.Server.Name, l.Server.Index, l.Service, l.Number)
	if !t.color {
		t.print("%s %s | %s\n", l.At.UTC().Format(time.RFC3339), printable(name, false), printable(l.Text, false))
		return
	}
	t.print("\x1b[2m%s\x1b[0m \x1b[%dm%s |\x1b[0m %s\n", l.At.Local().Format(time.TimeOnly), inkOf(name), printable(name, false), printable(l.Text, true))
}

// inkOf is the colour of a container's name: always the same for the same one.
func inkOf(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return 31 + int(h.Sum32()%6)
}
