package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/plan"
)

// heartbeat is after how long silence something that still runs says so.
const heartbeat = 15 * time.Second

// progress tells what goes on: a line per event, and a heartbeat for what is silent for long. On a
// terminal what runs has a live line each, with its elapsed time, below the others.
type progress struct {
	t       *terminal
	verbose bool
	stop    chan struct{}
	stopped sync.WaitGroup

	mu      sync.Mutex
	running map[string]*work
}

// work is something that runs.
type work struct {
	name  string
	text  string // the newest that it said
	since time.Time
	told  time.Time // when something was last printed of it
}

func newProgress(t *terminal, verbose bool) *progress {
	p := &progress{t: t, verbose: verbose, stop: make(chan struct{}), running: map[string]*work{}}
	p.stopped.Add(1)
	go p.beat()
	return p
}

// close ends heartbeats and live lines.
func (p *progress) close() {
	close(p.stop)
	p.stopped.Wait()
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.t.wipe()
}

// beat says of what is silent for long that it still runs, and keeps live lines moving.
func (p *progress) beat() {
	defer p.stopped.Done()
	tick := time.NewTicker(heartbeat / 5)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			for _, w := range p.silent(now) {
				p.still(w, now)
			}
		}
	}
}

// silent gives what has said nothing for long.
func (p *progress) silent(now time.Time) []work {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []work
	for _, key := range slices.Sorted(maps.Keys(p.running)) {
		w := p.running[key]
		if now.Sub(w.told) < heartbeat {
			continue
		}
		w.told = now
		list = append(list, *w)
	}
	return list
}

func (p *progress) still(w work, now time.Time) {
	elapsed := now.Sub(w.since)
	text := fmt.Sprintf("%s: still at it, %s", w.name, elapsed.Round(time.Second))
	if w.text != "" {
		text += ": " + strings.TrimSpace(w.text)
	}
	switch {
	case p.t.json:
		p.t.line("info", text, map[string]any{"type": "heartbeat", "step": w.name, "elapsed_seconds": elapsed.Seconds()})
	case p.t.liveErr: // its line shows it
	default:
		p.t.say("%s", text)
	}
}

// begin notes that something runs, and gives what ends it.
func (p *progress) begin(name string) {
	p.mu.Lock()
	now := time.Now()
	p.running[name] = &work{name: name, since: now, told: now}
	p.mu.Unlock()
	p.t.show(name, now)
}

func (p *progress) end(name string) {
	p.mu.Lock()
	delete(p.running, name)
	p.mu.Unlock()
	p.t.hide(name)
}

// busy is for what takes time and is no step of a plan: it is seen only when it takes long.
func (p *progress) busy(name string) func() {
	p.begin(name)
	return func() { p.end(name) }
}

// note keeps what something said last, and reports whether it is worth a line: what was said just
// before is not, and the chatter of builds and package managers only with --verbose.
func (p *progress) note(name, text string) bool {
	p.mu.Lock()
	w := p.running[name]
	fresh := w == nil || w.text != text
	worth := fresh && (p.verbose || !chatter.MatchString(text))
	if w != nil {
		w.text = text
		if worth {
			w.told = time.Now()
		}
	}
	p.mu.Unlock()
	p.t.update(name, text)
	return worth
}

// chatter is what package managers and engines say by the dozen.
var chatter = regexp.MustCompile(`^\s*(Unpacking |Setting up |Selecting previously |Preparing to unpack |Processing triggers |Get:|Hit:|Ign:|Fetched |Reading |Building dependency |\(Reading database|Created symlink |invoke-rc\.d|Need to get |After this operation|The following |[0-9]+ upgraded|  \S|Step [0-9]+/| ?---> )`)

// detail tells what a build says.
func (p *progress) detail(name, line string) {
	if p.note(name, strings.TrimSpace(line)) && p.verbose {
		p.t.say("  %s", line)
	}
}

// event tells one event of a refresh or a walk.
func (p *progress) event(e plan.Event) {
	what := e.Step
	if what == "" && !e.Address.IsZero() {
		what = e.Address.String()
	}
	what = or(what, e.Provider)
	switch e.What {
	case plan.Started:
		p.begin(what)
	case plan.Done, plan.Failed, plan.Skipped:
		p.end(what)
	default:
		if !p.note(what, e.Line) {
			return
		}
	}
	if p.t.json {
		p.object(e)
		return
	}
	elapsed := ""
	if e.Elapsed >= time.Second {
		elapsed = fmt.Sprintf(" (%s)", e.Elapsed.Round(time.Second))
	}
	switch e.What {
	case plan.Started:
		if !p.t.liveErr {
			p.t.say("%s ...", what)
		}
	case plan.Done:
		p.t.say("%s: done%s", what, elapsed)
	case plan.Failed:
		p.t.say("%s: failed%s", what, elapsed)
	case plan.Skipped:
		p.t.say("%s: not begun: %s", what, e.Line)
	default:
		p.t.say("%s: %s%s", what, e.Line, elapsed)
	}
}

// object tells an event in the JSON stream.
func (p *progress) object(e plan.Event) {
	fields := map[string]any{"type": "step_" + string(e.What), "step": e.Step, "elapsed_seconds": e.Elapsed.Seconds()}
	if !e.Address.IsZero() {
		fields["address"] = e.Address.String()
	}
	for name, value := range map[string]string{"provider": e.Provider, "phase": e.Phase, "line": e.Line} {
		if value != "" {
			fields[name] = value
		}
	}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	p.t.line("info", strings.TrimSpace(fmt.Sprintf("%s: %s %s", or(e.Step, e.Provider), e.What, e.Line)), fields)
}
