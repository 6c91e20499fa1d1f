package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Walk does what a plan says: every step whose needs are done, as many calls at a time as the
// world allows. What the calls find is entered in the world's ledger at once.
//
// A step that fails takes its way back, and what rests on it is skipped. When ctx ends, nothing new
// is started, running calls are let finish, and waits are left; an unfinished switch that is before
// its commit is undone. Walk returns when everything it started has ended. A plan without steps only
// settles what is remembered.
func Walk(ctx context.Context, p *Plan, w World) Result {
	if err := p.Valid(); err != nil {
		return Result{Err: err, Interrupted: true}
	}
	k := newWalk(ctx, p, w)
	defer k.close()
	w.Ledger.Begin(p)
	k.changed()
	for {
		k.launch()
		if k.running == 0 && (k.stopped() || len(k.ready) == 0) {
			break
		}
		k.turn()
	}
	return k.finish()
}

// walk is the work on one Walk. Its fields belong to the goroutine of Walk, but for what says
// otherwise.
type walk struct {
	ctx       context.Context // ends when the walk is to stop
	base      context.Context // for calls that must be let finish; ends with the walk
	cancel    context.CancelFunc
	plan      *Plan
	world     World
	pace      Pace
	nodes     []*node
	ready     []*node           // in the order of the plan
	running   int               // nodes that were started and have not ended
	calling   int               // of them, those that hold a slot
	calls     map[string]int    // the same by provider
	stop      error             // why nothing new is started
	announced time.Time         // when creates were last committed
	halted    bool              // Commit or May said no: no call is to be made any more
	last      map[string]string // balancer to the last phase's step
	result    Result
	waits     waits
	messages  chan message   // from the goroutines of nodes and polls
	open      sync.WaitGroup // goroutines
	hooks     sync.Mutex     // the world's functions, by whoever calls them
}

// A node is a step being walked.
type node struct {
	Step
	at      int
	left    int // needs that are not done
	users   []*node
	started time.Time
	told    bool // its creates are announced and committed
	state   nodeState
}

// spec is what the step's first item wants, or nil.
func (n *node) spec() resource.Spec {
	if len(n.Items) == 0 {
		return nil
	}
	return n.Items[0].Spec
}

type nodeState int

const (
	nodeOpen nodeState = iota
	nodeDone
	nodeFailed
	nodeSkipped
)

// A message tells Walk's goroutine what happened elsewhere.
type message struct {
	called *node // its call has ended; its slot is free
	ended  *node // it is over
	errs   []StepError
	out    Outcome
	left   bool // it was interrupted rather than failed
	await  *wait
	polled *poll
	stop   error // Commit or May said no
}

func newWalk(ctx context.Context, p *Plan, w World) *walk {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k := &walk{ctx: ctx, base: base, cancel: cancel, plan: p, world: w, pace: w.Pace, last: map[string]string{}, calls: map[string]int{}, messages: make(chan message), waits: waits{}}
	if k.pace == (Pace{}) {
		k.pace = DefaultPace
	}
	if k.world.Parallel <= 0 {
		k.world.Parallel = 10
	}
	byID := map[string]*node{}
	for i, s := range p.Steps {
		n := &node{Step: s, at: i, left: len(s.Needs)}
		k.nodes = append(k.nodes, n)
		byID[s.ID] = n
		if s.Switch != nil {
			k.last[s.Items[0].Mark.Address.Name] = s.ID
		}
	}
	for _, n := range k.nodes {
		for _, id := range n.Needs {
			byID[id].users = append(byID[id].users, n)
		}
		if n.left == 0 {
			k.ready = append(k.ready, n)
		}
	}
	return k
}

// close ends polls and waits for every goroutine.
func (k *walk) close() {
	k.cancel()
	done := make(chan struct{})
	go func() { k.open.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		case <-k.messages:
		}
	}
}

func (k *walk) stopped() bool { return k.stop != nil }

// launch announces every create that is ready, in one commit, and starts what slots are free for.
func (k *walk) launch() {
	if k.stop == nil && k.ctx.Err() != nil {
		k.stop = k.ctx.Err()
	}
	if k.stopped() || !k.announce() {
		return
	}
	for len(k.ready) > 0 && k.calling < k.world.Parallel {
		n := k.ready[0]
		k.ready = k.ready[1:]
		k.running++
		k.calling++
		k.calls[n.Provider]++
		k.open.Add(1)
		go func() {
			defer k.open.Done()
			k.perform(n)
		}()
	}
}

// announce enters the creates that are ready and commits them, so that a call that was sent is
// never forgotten. Creates on hosts may be repeated: theirs is at most one commit a second. It
// reports false when the commit failed.
func (k *walk) announce() bool {
	clouds, hosts := false, false
	for _, n := range k.ready {
		if n.Do == DoCreate && !n.told {
			k.world.Ledger.Announce(n.Step)
			n.told = true
			clouds = clouds || n.Provider != ""
			hosts = hosts || n.Provider == ""
		}
	}
	switch {
	case clouds, hosts && time.Since(k.announced) >= time.Second:
	case hosts:
		k.changed()
		return true
	default:
		return true
	}
	k.announced = time.Now()
	if err := k.commit(); err != nil {
		k.halt(err)
		return false
	}
	return true
}

// halt stops the walk because it may do nothing more: what waits is left at once.
func (k *walk) halt(err error) {
	if k.stop == nil {
		k.stop = err
	}
	k.halted = true
	for _, l := range k.waits {
		for _, w := range l.list {
			w.reply <- halt{k.stop}
		}
		l.list = nil
	}
}

// turn waits for one thing to happen and deals with it.
func (k *walk) turn() {
	timer := time.NewTimer(k.waits.until())
	defer timer.Stop()
	done := k.ctx.Done()
	if k.stopped() {
		done = nil
	}
	select {
	case <-done:
		k.stop = k.ctx.Err()
	case <-timer.C:
		k.poll()
	case m := <-k.messages:
		k.take(m)
	}
}

func (k *walk) take(m message) {
	switch {
	case m.stop != nil:
		k.halt(m.stop)
	case m.called != nil:
		k.calling--
		k.calls[m.called.Provider]--
	case m.await != nil && k.halted:
		m.await.reply <- halt{k.stop}
	case m.await != nil:
		k.waits.add(m.await, k.pace)
	case m.polled != nil:
		k.answer(m.polled)
	case m.ended != nil:
		k.end(m)
	}
}

// end closes a node and lets those that need it go on.
func (k *walk) end(m message) {
	n := m.ended
	k.running--
	k.waits.drop(n)
	k.result.Failed = append(k.result.Failed, m.errs...)
	if m.out != "" {
		k.result.Outcome = m.out
	}
	switch {
	case m.left:
		k.result.Interrupted = true
	case len(m.errs) > 0:
		n.state = nodeFailed
		k.skip(n)
	default:
		n.state = nodeDone
		if n.Switch != nil && k.last[n.Items[0].Mark.Address.Name] == n.ID {
			k.world.Ledger.EndSwitch(n.Items[0].Mark.Address.Name)
			k.changed()
		}
		for _, u := range n.users {
			if u.left--; u.left == 0 && u.state == nodeOpen {
				i, _ := slices.BinarySearchFunc(k.ready, u, func(a, b *node) int { return a.at - b.at })
				k.ready = slices.Insert(k.ready, i, u)
			}
		}
	}
}

// skip gives up everything that rests on a failed node, without another report of the failure.
func (k *walk) skip(failed *node) {
	for _, u := range failed.users {
		if u.state != nodeOpen {
			continue
		}
		u.state = nodeSkipped
		k.event(u.Step, Event{What: Skipped, Line: fmt.Sprintf("it rests on %s", failed.ID)})
		k.skip(u)
	}
}

// finish tells how it ended.
func (k *walk) finish() Result {
	for _, n := range k.nodes {
		switch n.state {
		case nodeDone:
			k.result.Done = append(k.result.Done, n.ID)
		case nodeOpen, nodeSkipped:
			k.result.Skipped = append(k.result.Skipped, n.ID)
			k.result.Interrupted = k.result.Interrupted || n.state == nodeOpen
		}
	}
	if k.stop != nil && !errors.Is(k.stop, k.ctx.Err()) {
		k.result.Err = k.stop
	}
	k.logReleases()
	return k.result
}

// logReleases enters in the history which groups have a new release: those of whose release steps
// none is left.
func (k *walk) logReleases() {
	whole := map[string]bool{}
	release := map[string]string{}
	for _, n := range k.nodes {
		spec, ok := n.spec().(*resource.ReleaseSpec)
		if !ok || n.Do == DoUpdate && !slices.Contains(n.Items[0].Changed, "release") {
			continue
		}
		group := n.Items[0].Mark.Address.Name
		before, seen := whole[group]
		whole[group] = n.state == nodeDone && (before || !seen)
		release[group] = spec.Release
	}
	for _, g := range slices.Sorted(maps.Keys(whole)) {
		if whole[g] {
			k.world.Ledger.Log(resource.Event{At: time.Now(), What: EventReleased, Group: g, Release: release[g]})
		}
	}
}

// providerBusy reports whether calls to a provider are being made or wait for a slot: then its
// lists would only be in their way.
func (k *walk) providerBusy(provider string) bool {
	if provider == "" {
		return false
	}
	queued := func(n *node) bool { return n.Provider == provider }
	return k.calls[provider] > 0 || !k.stopped() && slices.ContainsFunc(k.ready, queued)
}

// commit makes the ledger durable.
func (k *walk) commit() error {
	if k.world.Commit == nil {
		return nil
	}
	k.hooks.Lock()
	defer k.hooks.Unlock()
	if err := k.world.Commit(k.base); err != nil {
		return fmt.Errorf("commit the state: %w", err)
	}
	return nil
}

func (k *walk) may() error {
	if k.world.May == nil {
		return nil
	}
	k.hooks.Lock()
	defer k.hooks.Unlock()
	return k.world.May()
}

func (k *walk) changed() {
	if k.world.Changed != nil {
		k.hooks.Lock()
		defer k.hooks.Unlock()
		k.world.Changed()
	}
}

func (k *walk) event(s Step, e Event) {
	if k.world.Event == nil {
		return
	}
	e.At, e.Step, e.Do, e.Phase, e.Provider, e.Count = time.Now(), s.ID, s.Do, s.Phase, s.Provider, len(s.Items)
	if e.Address.IsZero() && len(s.Items) == 1 {
		e.Address = s.Items[0].Mark.Address
	}
	k.hooks.Lock()
	defer k.hooks.Unlock()
	k.world.Event(e)
}
