package deploy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
)

// LogLine is a line that a container has printed.
type LogLine struct {
	At        time.Time        `json:"at"`
	Server    resource.Address `json:"server"`
	Service   string           `json:"service"`
	Number    int              `json:"number"`
	Container string           `json:"container"`
	Stderr    bool             `json:"stderr,omitempty"`
	Text      string           `json:"text"`
}

// LogOptions say which lines are wanted.
type LogOptions struct {
	Services []string  // empty: all
	Since    time.Time // zero: from the beginning
	Until    time.Time // zero: to the end
	Tail     int       // of each container, the last so many, of each service in a journal; 0: all
	Follow   bool      // go on with what comes, also of containers that are started later
}

// Logs reads what the containers of a server have printed, and with Follow what they print, until
// ctx ends: from the server's journal, where those that are gone are found as well, and from the
// engine for those that do not log there. Containers that take the place of others are followed as well; a connection that is
// lost is made again, which tell is told of. Lines of several containers come as they are read,
// line is never called twice at once.
func (d *Driver) Logs(ctx context.Context, server resource.Found, enrolled bool, o LogOptions, tell func(string), line func(LogLine)) error {
	r := &logReader{server: server.Mark.Address, options: o, last: map[string]time.Time{}, reading: map[string]bool{}, elsewhere: map[string]bool{}}
	r.emit = func(l LogLine) {
		r.mu.Lock()
		defer r.mu.Unlock()
		line(l)
	}
	r.journal = newJournalReader(d.hosts.options.Stack, r.server, o, r.emit)
	for {
		err := d.readLogs(ctx, server, enrolled, r)
		if !o.Follow || ctx.Err() != nil {
			if ctx.Err() != nil {
				err = nil
			}
			return err
		}
		if err != nil {
			tell(fmt.Sprintf("%s: %v; trying again", server.Mark.Address, err))
		}
		if pause(ctx, 3*time.Second) != nil {
			return nil
		}
	}
}

func (d *Driver) readLogs(ctx context.Context, server resource.Found, enrolled bool, r *logReader) error {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return err
	}
	r.engine, err = d.hosts.engine(ctx, host)
	if err != nil {
		return err
	}
	defer func() { _ = r.engine.Close() }()
	return r.both(ctx, host)
}

// both reads the journal and the engine at the same time. With Follow, the end of one is that of
// both: they begin again together.
func (r *logReader) both(ctx context.Context, h host) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		err := r.journal.run(ctx, h)
		if r.options.Follow {
			cancel()
		}
		ended <- err
	}()
	err := r.run(ctx)
	if r.options.Follow {
		cancel()
	}
	return errors.Join(err, <-ended)
}

// logReader reads one server's containers.
type logReader struct {
	server  resource.Address
	options LogOptions
	engine  *engine
	journal *journalReader

	mu        sync.Mutex
	last      map[string]time.Time // container to its newest line
	reading   map[string]bool
	elsewhere map[string]bool // containers whose lines are in the journal
	errs      []error
	emit      func(LogLine) // never called twice at once
	open      sync.WaitGroup
}

func (r *logReader) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.open.Wait()
	defer cancel()
	var started client.EventsResult
	if r.options.Follow { // before the list, so that none is missed between
		filters := ours(r.engine.stack).Add("type", "container").Add("event", "start")
		started = r.engine.Events(ctx, client.EventsListOptions{Filters: filters})
	}
	list, err := r.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours(r.engine.stack)})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, c := range list.Items {
		r.begin(ctx, c.ID, c.Labels)
	}
	if !r.options.Follow {
		r.open.Wait()
		return errors.Join(r.errs...)
	}
	for {
		select {
		case m := <-started.Messages:
			r.begin(ctx, m.Actor.ID, m.Actor.Attributes)
		case err := <-started.Err:
			return fmt.Errorf("follow the engine's events: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// begin reads a container, unless it is read already or nobody wants its lines.
func (r *logReader) begin(ctx context.Context, id string, labels map[string]string) {
	service := labels[composeService]
	if len(r.options.Services) > 0 && !slices.Contains(r.options.Services, service) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reading[id] || r.elsewhere[id] {
		return
	}
	r.reading[id] = true
	r.open.Add(1)
	go func() {
		defer r.open.Done()
		err := r.read(ctx, id)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.reading, id)
		if err != nil && ctx.Err() == nil {
			r.errs = append(r.errs, err)
		}
	}()
}

// read reads one container's lines from where an earlier read left off.
func (r *logReader) read(ctx context.Context, id string) error {
	inspected, err := r.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspect container %s: %w", id[:12], err)
	}
	r.mu.Lock()
	since, again := r.last[id]
	r.elsewhere[id] = journaled(inspected.Container)
	r.mu.Unlock()
	if journaled(inspected.Container) {
		return nil
	}
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: r.options.Follow}
	if !again {
		since = r.options.Since
		if r.options.Tail > 0 {
			o.Tail = strconv.Itoa(r.options.Tail)
		}
	}
	if !since.IsZero() {
		o.Since = since.UTC().Format(time.RFC3339Nano)
	}
	if !r.options.Until.IsZero() {
		o.Until = r.options.Until.UTC().Format(time.RFC3339Nano)
	}
	logs, err := r.engine.ContainerLogs(ctx, id, o)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("logs of %s: %w", strings.TrimPrefix(inspected.Container.Name, "/"), err)
	}
	defer func() { _ = logs.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = logs.Close() })
	defer stop()
	return r.copy(inspected.Container, since, logs)
}

// copy parts a container's output into lines. What is not younger than since was had before.
func (r *logReader) copy(c container.InspectResponse, since time.Time, logs io.Reader) error {
	labels := c.Config.Labels
	one := LogLine{Server: r.server, Service: labels[composeService], Number: numberOf(labels), Container: strings.TrimPrefix(c.Name, "/")}
	stdout, stderr := &stamped{line: one, since: since, to: r.tell(c.ID)}, &stamped{line: one, since: since, to: r.tell(c.ID)}
	stderr.line.Stderr = true
	var err error
	if c.Config.Tty {
		_, err = io.Copy(stdout, logs)
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, bufio.NewReader(logs))
	}
	stdout.end()
	stderr.end()
	return err
}

func (r *logReader) tell(id string) func(LogLine) {
	return func(l LogLine) {
		r.mu.Lock()
		if l.At.After(r.last[id]) {
			r.last[id] = l.At
		}
		r.mu.Unlock()
		r.emit(l)
	}
}

// maxLogLine is the longest line in bytes that is kept whole.
const maxLogLine = 256 << 10

// stamped parts a stream into lines that begin with their time, as the engine gives them.
type stamped struct {
	line    LogLine
	since   time.Time
	partial []byte
	to      func(LogLine)
}

func (s *stamped) Write(b []byte) (int, error) {
	n := len(b)
	for {
		head, rest, found := bytes.Cut(b, []byte("\n"))
		s.partial = append(s.partial, head...)
		if found || len(s.partial) > maxLogLine {
			s.end()
		}
		if !found {
			return n, nil
		}
		b = rest
	}
}

// end gives out what there is of a line.
func (s *stamped) end() {
	text := strings.TrimSuffix(string(s.partial), "\r")
	s.partial = s.partial[:0]
	if text == "" {
		return
	}
	l := s.line
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		at, rest = s.line.At, text // the rest of a line that was too long
	}
	s.line.At = at
	if !s.since.IsZero() && !at.After(s.since) {
		return
	}
	l.At, l.Text = at, rest
	s.to(l)
}
