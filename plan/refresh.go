package plan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// RefreshOptions say who is asked.
type RefreshOptions struct {
	Clouds   bool
	Hosts    bool
	Event    func(Event) // told what is looked for; may be nil, is never called two at a time
	Pace     Pace        // zero: DefaultPace
	Parallel int         // reads at a time; 0: 10
}

// confirmOneByOne is how many vanished things are confirmed by Read; more are by a second list.
const confirmOneByOne = 5

// Refresh asks what there is: every provider at once, then the hosts, and lays the answers over
// what is remembered. It changes nothing.
//
// What could not be asked is unknown, never absent. What a list lacks is confirmed gone before
// anything rests on it; what was announced by an earlier run is looked for until the provider's
// lists can lag no more. The error is that of ctx.
func Refresh(ctx context.Context, d Drivers, m resource.Memory, o RefreshOptions) (Have, error) {
	if o.Pace == (Pace{}) {
		o.Pace = DefaultPace
	}
	if o.Parallel <= 0 {
		o.Parallel = 10
	}
	r := &refresh{drivers: d, memory: m, options: o, have: Have{
		Records: map[resource.Address]resource.Record{}, Gone: map[resource.Address]resource.Record{},
		Unknown: map[resource.Address]string{}, Blind: map[string]error{}}}
	asked := map[string]bool{}
	if o.Clouds {
		var wait sync.WaitGroup
		for alias := range d.Clouds {
			asked[alias] = true
			wait.Go(func() { r.cloud(ctx, alias) })
		}
		wait.Wait()
	}
	for _, rec := range r.remembered() {
		if on := rec.Provider; !asked[on] && !hosted(rec.Mark.Address.Kind()) {
			r.keep(rec)
		}
	}
	r.settle()
	r.hosts(ctx)
	return r.have, ctx.Err()
}

// refresh is the work on one Have.
type refresh struct {
	drivers Drivers
	memory  resource.Memory
	options RefreshOptions

	mu   sync.Mutex // over all below
	have Have
	kept []resource.Record // everything that is there, not yet sorted into one per address
}

func (r *refresh) event(e Event) {
	if r.options.Event != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		e.At = time.Now()
		r.options.Event(e)
	}
}

func (r *refresh) keep(rec resource.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, rec)
}

func (r *refresh) unknown(a resource.Address, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.have.Unknown[a] = reason
}

func (r *refresh) gone(rec resource.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.have.Gone[rec.Mark.Address]; !ok || old.Mark.Generation < rec.Mark.Generation {
		r.have.Gone[rec.Mark.Address] = rec
	}
}

// remembered lists every record, the generations on their way out included.
func (r *refresh) remembered() []resource.Record {
	list := slices.Collect(maps.Values(r.memory.Records))
	list = append(list, r.memory.Extra...)
	slices.SortFunc(list, func(a, b resource.Record) int { return a.Mark.Address.Compare(b.Mark.Address) })
	return list
}

// cloud asks one provider.
func (r *refresh) cloud(ctx context.Context, alias string) {
	var mine []resource.Record
	for _, rec := range r.remembered() {
		if rec.Provider == alias && !hosted(rec.Mark.Address.Kind()) {
			mine = append(mine, rec)
		}
	}
	q := resource.Query{Stack: r.memory.Stack}
	if r.drivers.Clouds[alias].Schema.Existing {
		q.Peers = foundOf(mine)
	}
	listing, err := r.list(ctx, alias, q)
	if err != nil {
		r.mu.Lock()
		r.have.Blind[alias] = fmt.Errorf("list what is at %s: %w", alias, err)
		r.mu.Unlock()
		for _, rec := range mine {
			r.keep(rec)
		}
		return
	}
	c := &census{refresh: r, alias: alias, mine: mine, query: q}
	c.take(listing)
	c.lookForAnnounced(ctx)
	c.confirm(ctx)
	c.done()
}

// list asks once, and again while the provider is busy, limited or out of order for a moment.
func (r *refresh) list(ctx context.Context, alias string, q resource.Query) (resource.Listing, error) {
	d, err := r.drivers.driver(alias)
	if err != nil {
		return resource.Listing{}, err
	}
	const tries = 5
	for try := 1; ; try++ {
		listing, err := d.List(ctx, q)
		switch kind := resource.KindOf(err); {
		case err == nil:
			return listing, nil
		case kind == resource.RateLimited:
			try--
		case kind != resource.Busy && kind != resource.Unavailable && kind != resource.Ambiguous, try >= tries:
			return resource.Listing{}, err
		}
		delay := backoff(r.options.Pace, max(try, 1))
		if until := time.Until(untilOf(err)); until > delay {
			delay = until
		}
		r.event(Event{What: Retrying, Provider: alias, Line: fmt.Sprintf("again in %s: %s", delay.Round(time.Millisecond), err), Err: err})
		if err := sleep(ctx, delay); err != nil {
			return resource.Listing{}, err
		}
	}
}

// A census lays one provider's lists over what is remembered of it.
type census struct {
	*refresh
	alias   string
	query   resource.Query
	mine    []resource.Record // remembered, at this provider
	listing resource.Listing
	marked  map[resource.Mark][]resource.Found // the listing's things by their mark
}

func (c *census) take(l resource.Listing) {
	c.listing, c.marked = resource.Listing{Unknown: l.Unknown}, map[resource.Mark][]resource.Found{}
	for _, f := range l.Found {
		c.add(f)
	}
}

func (c *census) add(f resource.Found) {
	c.listing.Found = append(c.listing.Found, f)
	c.marked[f.Mark] = append(c.marked[f.Mark], f)
}

// find is what the list has of a record: the thing itself, for one without an id anything with its
// mark.
func (c *census) find(rec resource.Record) (resource.Found, bool) {
	return pick(c.marked[rec.Mark], rec.ID)
}

func (c *census) unasked(a resource.Address) (string, bool) {
	for _, u := range c.listing.Unknown {
		if u.Address == a {
			return u.Reason, true
		}
	}
	return "", false
}

// missing lists the remembered records that the list lacks.
func (c *census) missing(announced bool) []resource.Record {
	var list []resource.Record
	for _, rec := range c.mine {
		if rec.Announced != announced || rec.Announced && rec.ID != "" {
			continue
		}
		if _, there := c.find(rec); there {
			continue
		}
		if _, unasked := c.unasked(rec.Mark.Address); !unasked {
			list = append(list, rec)
		}
	}
	return list
}

// lookForAnnounced lists again and again until every announced create shows, or until the
// provider's lists can lag no more: the call may have been the last thing that the earlier run did.
func (c *census) lookForAnnounced(ctx context.Context) {
	lag := c.drivers.Clouds[c.alias].Schema.ListLag
	end := time.Now().Add(lag)
	for tries := 1; ; tries++ {
		left := c.missing(true)
		now := time.Now()
		if len(left) == 0 || !now.Before(end) {
			return
		}
		c.event(Event{What: Looking, Provider: c.alias, Address: left[0].Mark.Address, Count: len(left),
			Line: fmt.Sprintf("an earlier run may have made it: looking for %s more", end.Sub(now).Round(100*time.Millisecond))})
		delay := min(backoff(c.options.Pace, tries), c.options.Pace.PollMost, end.Sub(now))
		if sleep(ctx, delay) != nil {
			return
		}
		if listing, err := c.list(ctx, c.alias, c.query); err == nil {
			c.take(listing)
		}
	}
}

// confirm asks for what vanished once more: one by one when it is little, by a second list when it
// is much.
func (c *census) confirm(ctx context.Context) {
	vanished := c.missing(false)
	if len(vanished) == 0 {
		return
	}
	c.event(Event{What: Looking, Provider: c.alias, Address: vanished[0].Mark.Address, Count: len(vanished), Line: "not listed any more: asking again"})
	if len(vanished) > confirmOneByOne {
		listing, err := c.list(ctx, c.alias, c.query)
		if err != nil {
			for _, rec := range vanished {
				c.unknown(rec.Mark.Address, fmt.Sprintf("it is not listed, and asking again went wrong: %s", err))
			}
			return
		}
		c.take(listing)
		return
	}
	driver, err := c.drivers.driver(c.alias)
	if err != nil {
		return
	}
	for _, rec := range vanished {
		found, err := driver.Read(ctx, c.query, rec.Found)
		switch {
		case err == nil:
			c.add(found)
		case !resource.IsGone(err):
			c.unknown(rec.Mark.Address, fmt.Sprintf("it is not listed, and asking for it went wrong: %s", err))
		}
	}
}

// done sorts what is known now: found, unknown, gone, announced and never made.
func (c *census) done() {
	taken := map[string]bool{}
	key := func(f resource.Found) string { return f.Mark.Encode() + " " + f.ID }
	for _, rec := range c.mine {
		a := rec.Mark.Address
		found, there := c.find(rec)
		reason, unasked := c.unasked(a)
		c.mu.Lock()
		if !unasked {
			_, unasked = c.have.Unknown[a]
		} else {
			c.have.Unknown[a] = reason
		}
		c.mu.Unlock()
		switch {
		case there && !taken[key(found)]:
			taken[key(found)] = true
			c.keep(observed(rec, found, c.alias))
		case there: // two records of one thing
		case unasked, rec.Announced:
			c.keep(rec)
		default:
			c.gone(rec)
		}
	}
	for _, f := range c.listing.Found {
		if !taken[key(f)] {
			taken[key(f)] = true
			c.keep(observed(resource.Record{}, f, c.alias))
		}
	}
}

// observed lays what was found over a record.
func observed(rec resource.Record, f resource.Found, alias string) resource.Record {
	if f.Provider == "" {
		f.Provider = alias
	}
	return resource.Record{Found: f, Want: rec.Want}
}
