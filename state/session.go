package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DefaultTTL is how long a lease outlives its last renewal, which is made every
// quarter of it. A remote store stays locked so long after a kill -9.
const DefaultTTL = 60 * time.Second

// Options say who begins a session, and what for.
type Options struct {
	Command string // why: "apply"
	Actor   string // user@host; DefaultActor if empty

	// Redact is applied to the command and to every string in the body of every
	// snapshot; nil leaves them as they are.
	Redact func(string) string

	Wait time.Duration // how long to wait for another's lease; 0 is not at all
	TTL  time.Duration // DefaultTTL if zero; whole seconds

	clock func() time.Duration // elapsed; tests have their own
}

// A Session is the right to write, from Begin to Close. Its methods may be
// called concurrently.
type Session struct {
	store   Store
	options Options
	id      string
	lease   *lease
	unguard func() error

	stop       context.CancelFunc // ends keeping and committing
	background sync.WaitGroup
	queue      queue

	mu       sync.Mutex
	head     Head
	stack    string
	check    string
	doubtful bool // a put of ours may still reach the store
	closed   bool
}

// Begin takes the lease of a store and reads its head. Somebody else's lease is
// a *LockedError, after Options.Wait. The session lives until Close, whatever
// becomes of ctx.
func Begin(ctx context.Context, store Store, options Options) (*Session, error) {
	if options.Actor == "" {
		options.Actor = DefaultActor()
	}
	if options.TTL <= 0 {
		options.TTL = DefaultTTL
	}
	if options.clock == nil {
		options.clock = elapsed
	}
	if options.Redact != nil {
		options.Command = options.Redact(options.Command)
	}
	s := &Session{store: store, options: options, id: rand.Text(), queue: newQueue(), unguard: func() error { return nil }}
	s.lease = &lease{
		store: store, ttl: options.TTL, clock: options.clock, turn: make(chan struct{}, 1),
		claim: claim{
			Session: s.id, Holder: options.Actor, Command: options.Command, Process: self(),
			Since: time.Now().UTC().Truncate(time.Second), TTL: int((options.TTL + time.Second - 1) / time.Second),
		},
	}
	how, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.background.Go(func() { s.lease.keep(background) })
	if err := s.enter(ctx, how); err != nil {
		stop()
		s.background.Wait()
		return nil, errors.Join(err, s.leave(ctx))
	}
	s.background.Go(func() { s.commitAll(background) })
	return s, nil
}

// acquire takes the lease, as often as the wait allows. Where the store's clock
// was set back it waits for as long as a live holder would need to show itself.
func (s *Session) acquire(ctx context.Context) (taken, error) {
	begun := s.options.clock()
	deadline := begun + s.options.Wait
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		how, err := s.try(ctx)
		if locked, ok := errors.AsType[*LockedError](err); ok && locked.untold {
			deadline = max(deadline, begun+s.options.TTL+2*grace)
		}
		left := deadline - s.options.clock()
		if !errors.Is(err, ErrLocked) || left <= 0 {
			return how, err
		}
		timer.Reset(min(left, time.Second))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return taken{}, ctx.Err()
		}
	}
}

// try takes the guard, where there is one, and then the lease.
func (s *Session) try(ctx context.Context) (taken, error) {
	guarded, ok := s.store.(Guarded)
	if !ok {
		return s.lease.take(ctx, false)
	}
	unguard, err := guarded.Guard(ctx)
	if errors.Is(err, ErrGuarded) {
		return taken{}, s.guardedBy(ctx)
	}
	if err != nil {
		return taken{}, fmt.Errorf("lock %s: %w", s.store.Name(), err)
	}
	how, err := s.lease.take(ctx, true)
	if err != nil {
		return how, errors.Join(err, unguard())
	}
	s.unguard = unguard
	return how, nil
}

// guardedBy names the process that has the guard, as well as its record tells.
// That the record is old only says that the process does not get to renew it.
func (s *Session) guardedBy(ctx context.Context) error {
	record, err := s.store.Lease(ctx)
	if err != nil {
		return fmt.Errorf("read the lease of %s: %w", s.store.Name(), err)
	}
	holder, ok := parseClaim(record.Data)
	if !ok || holder.Released {
		return &LockedError{Store: s.store.Name()}
	}
	return lockedBy(s.store, holder, record.Age, s.lease.claim.Process)
}

// ReadHolder tells who holds the lease of a store, nil if nobody does. Where a
// store is guarded, a holder that has died may still be named.
func ReadHolder(ctx context.Context, store Store) (*LockedError, error) {
	record, err := store.Lease(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lease of %s: %w", store.Name(), err)
	}
	c, ok := parseClaim(record.Data)
	here := self()
	if !ok || c.over(record.Age) || c.Process.dead(here) {
		return nil, nil
	}
	return lockedBy(store, c, record.Age, here), nil
}

// enter reads the head under the new lease. A lease that was taken over from a
// holder who may yet wake up is fenced first.
func (s *Session) enter(ctx context.Context, how taken) error {
	for {
		head, err := ReadHead(ctx, s.store)
		if err != nil {
			return err
		}
		s.head = head
		if head.last != nil {
			s.stack, s.check = head.last.Stack, head.last.Check
		}
		if !how.fence {
			return nil
		}
		err = s.fence(ctx, how.from)
		if !errors.Is(err, errTaken) {
			return err
		}
	}
}

// Head returns the newest snapshot that this session found or committed, and
// the damaged ones that were passed over at the beginning.
func (s *Session) Head() Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

// Use names the stack and the key for the commits to come. The stack must be
// the one that the state is of, else ErrOther; the key the one that its secrets
// were sealed with, else ErrWrongKey.
func (s *Session) Use(stack string, key *Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stack != "" && s.stack != stack {
		return fmt.Errorf("state %s %w: %s, not %s", s.store.Name(), ErrOther, s.stack, stack)
	}
	if err := s.head.last.CheckKey(key); err != nil {
		return err
	}
	if s.check == "" {
		check, err := key.For(stack).Seal(checkText)
		if err != nil {
			return err
		}
		s.check = check
	}
	s.stack = stack
	return nil
}

// Left returns how long the lease holds even if it cannot be renewed; zero or
// less when it has ended. A call that may take longer and cannot be broken off
// is not to be started.
func (s *Session) Left() time.Duration {
	left, err := s.lease.left()
	if err != nil {
		return 0
	}
	return left
}

// Deadline returns when the lease ends unless it is renewed.
func (s *Session) Deadline() time.Time { return time.Now().Add(s.Left()) }

// Call returns a context for one call to the outside: it ends when the lease
// does, with ErrLeaseLost as its cause. The lease is renewed first if it holds
// for less than need, which must be well below the TTL. If that does not work
// the error is ErrLeaseLost and the call is not to be made. The caller calls
// done afterwards.
func (s *Session) Call(ctx context.Context, need time.Duration) (call context.Context, done func(), err error) {
	if err := s.lease.ensure(ctx, need); err != nil {
		return nil, nil, err
	}
	s.lease.mu.Lock()
	gate := s.lease.gate.ctx
	s.lease.mu.Unlock()
	call, cancel := context.WithCancelCause(ctx)
	unwatch := context.AfterFunc(gate, func() { cancel(context.Cause(gate)) })
	return call, func() { unwatch(); cancel(nil) }, nil
}

// Lost is closed when the lease ended, be it for a while.
func (s *Session) Lost() <-chan struct{} {
	s.lease.mu.Lock()
	defer s.lease.mu.Unlock()
	return s.lease.gate.ctx.Done()
}

// Close commits what was noted and gives the lease back. The error is of that
// last commit or of the release. A second Close does nothing.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	err := s.Flush(ctx)
	s.queue.close()
	s.stop()
	s.background.Wait()
	return errors.Join(err, s.leave(ctx))
}

// leave gives back lease and guard. A lease under which a put is in doubt is
// left to end by itself: whoever takes it over fences the put off.
func (s *Session) leave(ctx context.Context) error {
	s.mu.Lock()
	doubtful := s.doubtful
	s.mu.Unlock()
	var err error
	if doubtful {
		s.lease.lose(ErrClosed)
	} else {
		err = s.lease.release(ctx)
	}
	return errors.Join(err, s.unguard())
}
