package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// claim is what the holder of a lease writes into its record.
type claim struct {
	Session  string    `json:"session"`
	Holder   string    `json:"holder"` // user@host
	Command  string    `json:"command"`
	Process  process   `json:"process"`
	Since    time.Time `json:"since"`
	TTL      int       `json:"ttl_seconds"` // it ends so long after the last swap, by the store's clock
	Renewed  int       `json:"renewed"`
	Released bool      `json:"released,omitempty"`
}

func (c claim) encode() []byte {
	data, err := json.Marshal(c)
	if err != nil { // not for strings and numbers
		return nil
	}
	return append(data, '\n')
}

// parseClaim reads a lease's record; false if there is none or it is no claim.
func parseClaim(data []byte) (claim, bool) {
	var c claim
	err := json.Unmarshal(data, &c)
	return c, err == nil && c.Session != ""
}

// grace is what a lease is granted beyond its end before another takes it: the
// clocks of some stores count whole seconds.
const grace = 2 * time.Second

// over tells that whoever made the claim has no right to it any more.
func (c claim) over(age time.Duration) bool {
	return c.Released || age > time.Duration(c.TTL)*time.Second+grace
}

// lease is held by one session. It is renewed at its owner's bidding.
type lease struct {
	store Store
	ttl   time.Duration
	clock func() time.Duration

	turn chan struct{} // held while the record is swapped

	// Another's record, when it was first seen by our clock. One that does not
	// change for its whole time is over, whatever the store's clock says.
	seen   string
	seenAt time.Duration

	mu      sync.Mutex
	claim   claim
	version string
	end     time.Duration // by clock
	lost    error         // for good
	gate    *gate
	alarm   *time.Timer // closes the gate at the end
}

// gate is a context that ends with the lease.
type gate struct {
	ctx   context.Context
	close context.CancelCauseFunc
}

func newGate() *gate {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &gate{ctx, cancel}
}

// taken says how a lease was come by.
type taken struct {
	from  claim
	fence bool // from may still be alive, or a call of its under way
}

// take makes the lease ours, or returns a *LockedError.
func (l *lease) take(ctx context.Context, guarded bool) (taken, error) {
	here := l.claim.Process
	for {
		record, err := l.store.Lease(ctx)
		if err != nil {
			return taken{}, fmt.Errorf("read the lease of %s: %w", l.store.Name(), err)
		}
		old, ok := parseClaim(record.Data)
		if !ok && record.Data != nil {
			// Unreadable is nobody's; but let its holder's time run out.
			old = claim{Holder: "somebody", Command: "unknown", TTL: l.claim.TTL}
		}
		// Before the guard was ours its holder's calls had ended; a remote
		// store may still have one of a dead process on its way.
		gone := guarded && old.Process.sameKernel(here)
		age := max(record.Age, l.watched(record.Version))
		if record.Data != nil && !old.over(age) && !gone && !old.Process.dead(here) {
			locked := lockedBy(l.store, old, age, here)
			locked.untold = record.Age < -grace
			return taken{}, locked
		}
		switch err := l.swapIn(ctx, record.Version); {
		case errors.Is(err, ErrLeaseLost): // somebody was faster
		case err != nil:
			return taken{}, fmt.Errorf("take the lease of %s: %w", l.store.Name(), err)
		default:
			return taken{from: old, fence: record.Data != nil && !old.Released && !gone}, nil
		}
	}
}

// swapIn puts our claim in the place of the record of this version. ErrLeaseLost
// is that somebody else did so.
func (l *lease) swapIn(ctx context.Context, version string) error {
	sent := l.clock()
	next, err := l.store.SwapLease(ctx, version, l.claim.encode())
	if errors.Is(err, ErrUnfit) {
		return err
	}
	if err != nil {
		// It may have come through, and the answer got lost.
		have, readErr := l.ours(ctx)
		switch {
		case readErr == nil:
			next = have
		case errors.Is(err, ErrMoved):
			return readErr
		default:
			return err
		}
	}
	l.hold(next, sent)
	return nil
}

// watched returns for how long this record has been seen unchanged.
func (l *lease) watched(version string) time.Duration {
	if now := l.clock(); l.seen != version {
		l.seen, l.seenAt = version, now
	}
	return l.clock() - l.seenAt
}

// ours returns the version of the record if it is this session's, else
// ErrLeaseLost.
func (l *lease) ours(ctx context.Context) (string, error) {
	record, err := l.store.Lease(ctx)
	if err != nil {
		return "", err
	}
	have, ok := parseClaim(record.Data)
	if !ok || have.Session != l.claim.Session || have.Released {
		return "", fmt.Errorf("%w: %s has it now (%s)", ErrLeaseLost, have.Holder, have.Command)
	}
	return record.Version, nil
}

// lockedBy is the refusal that names the holder.
func lockedBy(store Store, holder claim, age time.Duration, here process) *LockedError {
	return &LockedError{
		Store: store.Name(), Holder: holder.Holder, PID: holder.Process.PID, Command: holder.Command, Since: holder.Since,
		Until: time.Now().Add(time.Duration(holder.TTL)*time.Second + grace - age),
		Here:  holder.Process.sameKernel(here),
	}
}

// hold notes that the lease is ours for a further ttl from the moment when the
// swap was sent.
func (l *lease) hold(version string, sent time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version, l.end = version, sent+l.ttl
	if l.gate == nil || l.gate.ctx.Err() != nil {
		l.gate = newGate()
	}
	left := l.end - l.clock()
	if l.alarm == nil {
		l.alarm = time.AfterFunc(left, l.ring)
	}
	l.alarm.Reset(left)
}

// ring ends the calls under way if the lease has ended.
func (l *lease) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.end - l.clock(); left > 0 && l.lost == nil {
		l.alarm.Reset(left)
		return
	}
	l.gate.close(ErrLeaseLost)
}

// lose ends the lease for good.
func (l *lease) lose(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = why
	}
	l.gate.close(why)
	l.alarm.Stop()
}

// left returns how long the lease holds without another renewal, or why it is
// lost.
func (l *lease) left() (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end - l.clock(), l.lost
}

// renew moves the end. When another has the lease it is lost for good; after
// any other error it is ours until its end, and after that again if nobody
// took it meanwhile.
func (l *lease) renew(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if _, err := l.left(); err != nil {
			return err
		}
		l.mu.Lock()
		l.claim.Renewed++
		data, version := l.claim.encode(), l.version
		l.mu.Unlock()

		sent := l.clock()
		next, err := l.store.SwapLease(ctx, version, data)
		if err == nil {
			l.hold(next, sent)
			return nil
		}
		if !errors.Is(err, ErrMoved) {
			return fmt.Errorf("renew the lease of %s: %w", l.store.Name(), err)
		}
		next, err = l.ours(ctx)
		if errors.Is(err, ErrLeaseLost) {
			l.lose(err)
		}
		if err != nil {
			return err
		}
		// An earlier renewal had come through although its answer was lost.
		l.mu.Lock()
		l.version = next
		l.mu.Unlock()
	}
}

// keep renews in good time until ctx ends or the lease is lost.
func (l *lease) keep(ctx context.Context) {
	pause := l.ttl / 4
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		attempt, cancel := context.WithTimeout(ctx, pause)
		err := l.renew(attempt)
		cancel()
		switch {
		case err == nil:
			timer.Reset(pause)
		case errors.Is(err, ErrLeaseLost):
			return
		default:
			timer.Reset(pause / 5)
		}
	}
}

// ensure returns when the lease holds for at least so long, renewing it if
// need be. Otherwise the error is ErrLeaseLost.
func (l *lease) ensure(ctx context.Context, need time.Duration) error {
	need = max(need, time.Nanosecond) // an ended lease is enough for nothing
	left, err := l.left()
	if err != nil || left >= need {
		return err
	}
	if err := l.renew(ctx); err != nil {
		if errors.Is(err, ErrLeaseLost) {
			return err
		}
		if left, lost := l.left(); lost == nil && left >= need {
			return nil
		}
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	if left, err = l.left(); err == nil && left < need {
		err = fmt.Errorf("%w: renewing it took too long", ErrLeaseLost)
	}
	return err
}

// release gives the lease back, so that the next comer need not wait. Not
// having it any more is no error.
func (l *lease) release(ctx context.Context) error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if _, err := l.left(); err != nil {
		return nil
	}
	l.mu.Lock()
	l.claim.Released = true
	data, version := l.claim.encode(), l.version
	l.mu.Unlock()
	l.lose(ErrClosed)
	if _, err := l.store.SwapLease(ctx, version, data); err != nil && !errors.Is(err, ErrMoved) {
		return fmt.Errorf("release the lease of %s: %w", l.store.Name(), err)
	}
	return nil
}
