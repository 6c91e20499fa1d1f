package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// quiet is how long a provider's lists keep out of the way of calls that wait for their turn.
const quiet = time.Minute

// A wait is a step whose call was answered: for what it made to be in working order, for what it
// deleted to be listed no more.
type wait struct {
	node     *node
	step     Step
	items    []resource.Item // that are waited for
	ids      map[resource.Mark]string
	deadline time.Time
	after    time.Duration // what the deadline was
	status   string        // what was last seen
	reply    chan error    // answered once; has room for it
}

// waits are asked for by one list per provider, for all that wait there.
type waits map[string]*line

// A line is what waits at one provider.
type line struct {
	list     []*wait
	next     time.Time
	asked    time.Time // when it was last polled, or began to wait
	interval time.Duration
	polling  bool
}

// A poll is the answer of one list.
type poll struct {
	provider string
	listing  resource.Listing
	err      error
}

func (ws waits) add(w *wait, pace Pace) {
	l := ws[w.step.Provider]
	if l == nil {
		l = &line{}
		ws[w.step.Provider] = l
	}
	now := time.Now()
	if len(l.list) == 0 {
		l.asked, l.interval, l.next = now, pace.PollFirst, now.Add(pace.PollFirst)
	}
	l.list = append(l.list, w)
}

// drop forgets what a node waited for.
func (ws waits) drop(n *node) {
	for _, l := range ws {
		l.list = slices.DeleteFunc(l.list, func(w *wait) bool { return w.node == n })
	}
}

// until is how long nothing is to be polled.
func (ws waits) until() time.Duration {
	const idle = time.Hour
	d := idle
	for _, l := range ws {
		if len(l.list) > 0 && !l.polling {
			d = min(d, time.Until(l.next))
		}
	}
	return max(d, 0)
}

// poll asks every provider whose time has come.
func (k *walk) poll() {
	now := time.Now()
	for _, provider := range slices.Sorted(maps.Keys(k.waits)) {
		l := k.waits[provider]
		if len(l.list) == 0 || l.polling || now.Before(l.next) {
			continue
		}
		if k.providerBusy(provider) && now.Sub(l.asked) < quiet {
			l.next = now.Add(k.pace.PollFirst)
			continue
		}
		l.polling, l.asked = true, now
		query := k.query(provider, l.kinds())
		k.open.Add(1)
		go func() {
			defer k.open.Done()
			p := &poll{provider: provider}
			p.listing, p.err = k.list(k.base, provider, query)
			k.messages <- message{polled: p}
		}()
	}
}

func (l *line) kinds() []resource.Kind {
	set := map[resource.Kind]bool{}
	for _, w := range l.list {
		for _, item := range w.items {
			set[item.Mark.Address.Kind()] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// query asks for kinds of a provider, or of the hosts.
func (k *walk) query(provider string, kinds []resource.Kind) resource.Query {
	q := resource.Query{Stack: k.plan.Stack, Only: kinds}
	if provider == "" {
		q.Peers = k.world.Ledger.hosts()
	}
	return q
}

func (k *walk) list(ctx context.Context, provider string, q resource.Query) (resource.Listing, error) {
	d, err := k.world.Drivers.driver(provider)
	if err != nil {
		return resource.Listing{}, err
	}
	if err := k.may(); err != nil {
		return resource.Listing{}, halt{err}
	}
	return d.List(ctx, q)
}

// answer gives a poll's answer to all that wait for it.
func (k *walk) answer(p *poll) {
	l := k.waits[p.provider]
	now := time.Now()
	l.polling = false
	l.interval = min(l.interval*3/2, k.pace.PollMost)
	l.next = now.Add(l.interval)
	if h := (halt{}); errors.As(p.err, &h) {
		k.halt(h.error)
		return
	}
	if p.err != nil {
		if until := untilOf(p.err); until.After(l.next) {
			l.next = until
		}
	}
	found := map[resource.Mark][]resource.Found{}
	for _, f := range p.listing.Found {
		found[f.Mark] = append(found[f.Mark], f)
	}
	unknown := map[resource.Address]bool{}
	for _, u := range p.listing.Unknown {
		unknown[u.Address] = true
	}
	l.list = slices.DeleteFunc(l.list, func(w *wait) bool {
		err, over := k.look(w, p.err, found, unknown)
		if !over && now.After(w.deadline) {
			err, over = w.late(p.err), true
		}
		if over {
			w.reply <- err
		} else {
			k.event(w.step, Event{What: Waiting, Line: w.status, Elapsed: now.Sub(w.node.started)})
		}
		return over
	})
}

// late is the error of a wait whose time is up.
func (w *wait) late(asking error) error {
	e := &resource.Error{Kind: resource.Failed, Op: string(w.step.Do), Address: w.items[0].Mark.Address,
		Message: fmt.Sprintf("not ready after %s: %s", w.after, w.status), Cause: asking,
		Hint: "run 'cloudship apply' again: it goes on where this stopped"}
	if asking != nil {
		e.Message += ": " + asking.Error()
	}
	return e
}

// look compares one wait with what was found, and tells whether it is over.
func (k *walk) look(w *wait, failed error, found map[resource.Mark][]resource.Found, unknown map[resource.Address]bool) (error, bool) {
	if failed != nil {
		return nil, false
	}
	var left []resource.Item
	all := len(w.items)
	for _, item := range w.items {
		f, there := pick(found[item.Mark], w.ids[item.Mark])
		a := item.Mark.Address
		switch {
		case w.step.Do == DoDelete && !there && !unknown[a]:
			k.world.Ledger.Delete(*item.Have)
			k.changed()
			continue
		case w.step.Do == DoDelete:
			w.status = firstOf(f.Facts.Status, "still there")
		case !there:
			w.status = "not listed yet"
		case f.Problem != "":
			k.world.Ledger.Ready(f)
			k.changed()
			return &resource.Error{Kind: resource.Failed, Op: string(w.step.Do), Address: a, Message: f.Problem}, true
		case f.Ready:
			k.world.Ledger.Ready(f)
			k.changed()
			continue
		default:
			w.status = firstOf(f.Facts.Status, "not ready yet")
		}
		left = append(left, item)
	}
	w.items = left
	if len(left) > 0 && all > 1 {
		w.status += fmt.Sprintf(" (%d of %d)", len(left), all)
	}
	return nil, len(left) == 0
}

// pick finds the thing with an id among those with one mark; without an id, the only one.
func pick(list []resource.Found, id string) (resource.Found, bool) {
	for _, f := range list {
		if id == "" || f.ID == id {
			return f, true
		}
	}
	return resource.Found{}, false
}

// await waits until the items of a step are ready, or gone. It is called by the goroutine of a
// node.
func (k *walk) await(ctx context.Context, n *node, s Step, items []resource.Item, ids map[resource.Mark]string) error {
	if len(items) == 0 {
		return nil
	}
	after := s.Deadline
	if after == 0 {
		after = k.pace.Ready
	}
	w := &wait{node: n, step: s, items: items, ids: ids, deadline: time.Now().Add(after), after: after, status: "not asked yet", reply: make(chan error, 1)}
	k.messages <- message{await: w}
	select {
	case err := <-w.reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
