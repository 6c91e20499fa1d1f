package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// driver finds who serves an alias; "" are the hosts.
func (d Drivers) driver(provider string) (resource.Driver, error) {
	if provider == "" {
		if d.Hosts == nil {
			return nil, errors.New("there is no driver for hosts")
		}
		return d.Hosts, nil
	}
	c, ok := d.Clouds[provider]
	if !ok {
		return nil, fmt.Errorf("provider %q is not configured", provider)
	}
	return c.Driver, nil
}

// perform carries one node out, and its way back when it fails. It is the goroutine of the node.
func (k *walk) perform(n *node) {
	n.started = time.Now()
	k.event(n.Step, Event{What: Started, Line: n.Reason})
	freed := false
	free := func() {
		if !freed {
			freed = true
			k.messages <- message{called: n}
		}
	}
	errs := k.do(k.ctx, n, n.Step, free)
	free()
	end := message{ended: n}
	switch {
	case len(errs) == 0:
		k.event(n.Step, Event{What: Done, Elapsed: time.Since(n.started)})
	case k.onlyStopped(n.Step, errs):
		end.left = true
		if n.Switch != nil && !n.Switch.Committed() && !n.Switch.Back && k.ctx.Err() != nil {
			end.errs = k.goBack(n)
		}
	default:
		k.event(n.Step, Event{What: Failed, Elapsed: time.Since(n.started), Err: errs[0].Err, Address: errs[0].Address})
		end.errs, end.out = errs, n.Outcome
		if n.Switch == nil && resource.KindOf(errs[0].Err) != resource.Failed {
			end.out = "" // it says nothing of the release
		}
		if back := k.goBack(n); len(back) > 0 {
			end.errs = append(end.errs, back...)
			if n.Outcome == SwitchedBack {
				end.out = ""
			}
		}
	}
	k.messages <- end
}

// A halt is an error that stops the walk, and says nothing of the step that met it.
type halt struct{ error }

func (h halt) Unwrap() error { return h.error }

// onlyStopped reports whether a step's errors only say that the walk is to stop. Of the phases that
// only watch, every error does, once the context has ended.
func (k *walk) onlyStopped(s Step, errs []StepError) bool {
	if k.ctx.Err() != nil && watches(s.Phase) {
		return true
	}
	return !slices.ContainsFunc(errs, func(e StepError) bool {
		var h halt
		return !errors.As(e.Err, &h) && (k.ctx.Err() == nil || !errors.Is(e.Err, k.ctx.Err()))
	})
}

// watches reports whether a phase of a route is a wait rather than a change.
func watches(phase string) bool {
	switch phase {
	case PhaseTest, PhaseGate, PhaseDrain, PhaseWatch:
		return true
	}
	return false
}

// goBack takes the way back from a failed step, to its end even when the walk is to stop, and
// answers what went wrong on it.
func (k *walk) goBack(n *node) []StepError {
	if errs := k.wayBack(n, n.OnFailure); len(errs) > 0 {
		return errs
	}
	if n.Switch != nil && n.Switch.Phase != PhaseCommit {
		balancer := n.Items[0].Mark.Address.Name
		k.world.Ledger.EndSwitch(balancer)
		if n.Outcome == Refused {
			k.world.Ledger.Log(resource.Event{At: time.Now(), What: EventRefused, Balancer: balancer, Group: n.Switch.To, Release: n.Switch.Release, Note: "at " + n.Phase})
		}
		k.changed()
	}
	return nil
}

func (k *walk) wayBack(n *node, steps []Step) []StepError {
	for _, s := range steps {
		k.event(s, Event{What: Started, Line: "the way back from " + n.ID})
		began := time.Now()
		errs := k.do(k.base, n, s, func() {})
		if len(errs) == 0 {
			k.event(s, Event{What: Done, Elapsed: time.Since(began)})
			continue
		}
		k.event(s, Event{What: Failed, Elapsed: time.Since(began), Err: errs[0].Err})
		more := k.wayBack(n, s.OnFailure)
		if len(more) == 0 && len(s.OnFailure) > 0 && s.Switch != nil {
			k.world.Ledger.EndSwitch(s.Items[0].Mark.Address.Name)
			k.changed()
		}
		return append(errs, more...)
	}
	return nil
}

// do makes a step's call and waits until what it did shows. Called is told when the call, all
// repetitions included, is over.
func (k *walk) do(ctx context.Context, n *node, s Step, called func()) []StepError {
	if s.Do == DoWait {
		called()
		ids := map[resource.Mark]string{}
		for _, item := range s.Items {
			ids[item.Mark] = item.Have.ID
		}
		return stepErrors(s, k.await(ctx, n, s, s.Items, ids))
	}
	if err := k.prepare(s); err != nil {
		return stepErrors(s, err)
	}
	if s.Do == DoRetire {
		return stepErrors(s, k.retire(s))
	}
	c := &calling{walk: k, ctx: ctx, node: n, step: s, left: s.Items, ids: map[resource.Mark]string{}}
	c.repeat()
	called()
	if err := k.await(ctx, n, s, c.waiting, c.ids); err != nil {
		c.errs = append(c.errs, stepErrors(s, err)...)
	}
	return c.errs
}

func stepErrors(s Step, err error) []StepError {
	if err == nil {
		return nil
	}
	e := StepError{Step: s.ID, Do: s.Do, Phase: s.Phase, Err: err}
	if len(s.Items) > 0 {
		e.Address = s.Items[0].Mark.Address
	}
	var known *resource.Error
	if errors.As(err, &known) && !known.Address.IsZero() {
		e.Address = known.Address
	}
	return []StepError{e}
}

// prepare commits what must be known before the call: a phase of a switch, the tag of a delete.
func (k *walk) prepare(s Step) error {
	if s.Switch != nil {
		k.world.Ledger.Phase(s.Items[0].Mark.Address.Name, *s.Switch, time.Now())
	}
	if s.Switch != nil || s.Tag != "" {
		if err := k.commit(); err != nil {
			k.messages <- message{stop: err}
			return halt{err}
		}
	}
	return nil
}

// retirer is a driver that keeps something for a stack beside its resources.
type retirer interface {
	Retire(context.Context, resource.StackID) error
}

func (k *walk) retire(s Step) error {
	d, err := k.world.Drivers.driver(s.Provider)
	if err != nil {
		return err
	}
	if r, ok := d.(retirer); ok {
		if err := k.retireAt(r, s); err != nil {
			return err
		}
	}
	k.world.Ledger.Retired(s.Provider)
	k.changed()
	return nil
}

// calling is one step's call with its repetitions.
type calling struct {
	*walk
	ctx     context.Context
	node    *node
	step    Step
	left    []resource.Item // still to be asked for
	waiting []resource.Item // answered, not ready yet
	ids     map[resource.Mark]string
	errs    []StepError
	tries   int
	since   time.Time // when the first try that may be repeated failed
}

// repeat makes the call until nothing is left that another try could help.
func (c *calling) repeat() {
	for len(c.left) > 0 {
		if err := c.may(); err != nil {
			c.messages <- message{stop: err}
			c.fail(c.left, halt{err})
			return
		}
		d, err := c.world.Drivers.driver(c.step.Provider)
		if err != nil {
			c.fail(c.left, err)
			return
		}
		call, err := c.call()
		if err != nil {
			c.fail(c.left, err)
			return
		}
		c.tries++
		again, err := c.sort(call, c.send(d, call))
		if len(again) == 0 {
			return
		}
		c.left = again
		if !c.pause(err) {
			return
		}
	}
}

// send makes the call. A call is let finish when the walk is to stop; the phases of a switch that
// only watch are left.
func (c *calling) send(d resource.Driver, call resource.Call) []resource.Result {
	ctx := c.base
	if watches(c.step.Phase) {
		ctx = c.ctx
	}
	switch c.step.Do {
	case DoCreate:
		return d.Create(ctx, call)
	case DoUpdate:
		return d.Update(ctx, call)
	}
	return d.Delete(ctx, call)
}

// call makes up the request for what is left.
func (c *calling) call() (resource.Call, error) {
	items := slices.Clone(c.left)
	for i := range items {
		items[i].Have = c.have(items[i])
	}
	call := resource.Call{
		Stack: c.plan.Stack, Items: items, Phase: c.step.Phase, Tag: c.step.Tag, Peers: c.world.Ledger.Peers(items),
		Progress: func(a resource.Address, line string) {
			c.event(c.step, Event{What: Progress, Address: a, Line: line, Elapsed: time.Since(c.node.started)})
		},
	}
	for _, id := range c.step.Releases {
		if call.Releases == nil {
			call.Releases = map[string]resource.ReleaseEntry{}
		}
		call.Releases[id] = c.plan.Releases[id]
	}
	for _, digest := range c.step.Secrets {
		value, ok := c.world.Secrets[digest]
		if !ok {
			return call, fmt.Errorf("%s: the value of secret %s is not at hand", c.step.ID, digest)
		}
		if call.Secrets == nil {
			call.Secrets = map[string]string{}
		}
		call.Secrets[digest] = value
	}
	if c.step.Do == DoCreate && items[0].Mark.Address.Kind() == resource.KindServer && c.world.UserData != nil &&
		!c.world.Drivers.Clouds[c.step.Provider].Schema.Existing {
		var err error
		c.hooks.Lock()
		call.UserData, err = c.world.UserData(c.ctx, items)
		c.hooks.Unlock()
		if err != nil {
			return call, fmt.Errorf("user data: %w", err)
		}
	}
	return call, nil
}

// have is what there is of an item by now: for an update what the ledger knows, but for the group
// that a route is switched from, which the plan knows.
func (c *calling) have(item resource.Item) *resource.Found {
	if item.Have == nil || c.step.Do != DoUpdate {
		return item.Have
	}
	found, ok := c.world.Ledger.Found(item.Mark.Address)
	if !ok {
		return item.Have
	}
	if c.step.Switch != nil && item.Mark.Address.Kind() == resource.KindRoute {
		found.Spec, found.Observed = item.Have.Spec, item.Have.Observed
	}
	return &found
}

// sort enters the results and answers the items that are worth another try, with the error that
// says when.
func (c *calling) sort(call resource.Call, results []resource.Result) (again []resource.Item, why error) {
	of := map[resource.Address]resource.Result{}
	for _, r := range results {
		of[r.Address] = r
	}
	for _, item := range call.Items {
		r, ok := of[item.Mark.Address]
		if !ok {
			r.Err = &resource.Error{Kind: resource.Ambiguous, Op: string(c.step.Do), Address: item.Mark.Address, Message: "the driver gave no answer for it"}
		}
		c.enter(item, r)
		switch {
		case r.Err == nil:
		case c.repeatable(item, r):
			again, why = append(again, item), r.Err
		default:
			c.fail([]resource.Item{item}, r.Err)
		}
	}
	c.changed()
	return again, why
}

// enter notes one result in the ledger, and what is still to be waited for.
func (c *calling) enter(item resource.Item, r resource.Result) {
	ledger := c.world.Ledger
	if c.step.Do == DoDelete {
		switch {
		case r.Err != nil:
		case c.step.Provider == "":
			ledger.Delete(*item.Have)
		default:
			c.waiting = append(c.waiting, item)
			c.ids[item.Mark] = item.Have.ID
		}
		return
	}
	if r.Found == nil {
		if r.Err == nil && c.step.Do == DoUpdate && item.Have != nil {
			ledger.Enter(c.step, item, *item.Have, true)
		}
		return
	}
	ledger.Enter(c.step, item, *r.Found, r.Err == nil)
	if r.Err == nil && !r.Found.Ready {
		c.waiting = append(c.waiting, item)
		c.ids[item.Mark] = r.Found.ID
	}
}

// fail notes that items went wrong for good.
func (c *calling) fail(items []resource.Item, err error) {
	for _, item := range items {
		c.errs = append(c.errs, StepError{Step: c.step.ID, Do: c.step.Do, Phase: c.step.Phase, Address: item.Mark.Address, Err: err})
	}
}
