package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudship/cloudship/state"
)

// patience is far beyond what anything here takes on a loaded machine.
const patience = 2 * time.Minute

// frozenTTL is how long a holder's lease lasts that is to be outlived: long
// enough that a loaded machine keeps it while the holder is well.
const frozenTTL = 6 * time.Second

// begin opens a session that waits for its turn.
func begin(t *testing.T, store state.Store, options state.Options) *state.Session {
	t.Helper()
	if options.Wait == 0 {
		options.Wait = patience
	}
	s, err := state.Begin(t.Context(), store, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.WithoutCancel(t.Context())) })
	return s
}

// count is a body that says n.
func count(n int) state.Source {
	return state.Fixed(state.Content{Body: fmt.Appendf(nil, `{"count":%d}`, n)})
}

// counted reads what count wrote; 0 if nothing did.
func counted(t *testing.T, snapshot *state.Snapshot) int {
	t.Helper()
	if snapshot == nil {
		return 0
	}
	var body struct{ Count int }
	if err := json.Unmarshal(snapshot.Body, &body); err != nil {
		t.Fatal(err)
	}
	return body.Count
}

// holds proves that the chain is whole and that its head says n.
func holds(t *testing.T, store state.Store, n int) state.History {
	t.Helper()
	history, err := state.ReadHistory(t.Context(), store)
	if err = errors.Join(append(history.Findings, err)...); err != nil {
		t.Fatal(err)
	}
	head, err := state.ReadHead(t.Context(), store)
	if have := counted(t, head.Snapshot); err != nil || have != n {
		t.Fatalf("the head says %d, %v; want %d", have, err, n)
	}
	return history
}

func testExclusion(t *testing.T, place Place) {
	ctx := t.Context()
	ann := begin(t, place.Open(), state.Options{Command: "apply", Actor: "ann@laptop"})
	_, err := state.Begin(ctx, place.Open(), state.Options{Command: "plan", Actor: "bob@desk"})
	want(t, err, state.ErrLocked)
	locked, ok := errors.AsType[*state.LockedError](err)
	if !ok || locked.Holder != "ann@laptop" || locked.Command != "apply" || time.Since(locked.Since).Abs() > patience {
		t.Fatalf("have %#v", err)
	}
	holder, err := state.ReadHolder(ctx, place.Open())
	if err != nil || holder == nil || holder.Holder != "ann@laptop" {
		t.Fatalf("holder is %v, %v", holder, err)
	}
	want(t, ann.Commit(ctx, count(1)), nil)
	want(t, ann.Close(ctx), nil)
	want(t, ann.Commit(ctx, count(2)), state.ErrClosed)

	bob := begin(t, place.Open(), state.Options{Command: "apply", Actor: "bob@desk"})
	if have := counted(t, bob.Head().Snapshot); have != 1 {
		t.Fatalf("bob sees %d", have)
	}
	want(t, bob.Close(ctx), nil)
	holder, err = state.ReadHolder(ctx, place.Open())
	if err != nil || holder != nil {
		t.Fatalf("holder is %v, %v", holder, err)
	}
	holds(t, place.Open(), 1)
}

// testTurns has many sessions each add one to what they find.
func testTurns(t *testing.T, place Place) {
	ctx := t.Context()
	const sessions = 5
	var all sync.WaitGroup
	var again atomic.Int32
	for i := range sessions {
		store := place.Open()
		all.Go(func() {
			if err := untilKept(func() error { return addOne(ctx, store, fmt.Sprintf("apply %d", i)) }, &again); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	if history := holds(t, place.Open(), sessions); len(history.Snapshots) != 2*sessions && again.Load() == 0 {
		t.Errorf("have %d snapshots, want %d", len(history.Snapshots), 2*sessions)
	}
}

// untilKept takes a turn again whose lease was lost: on a machine at its limit a lease may end, and a
// store that compares before it swaps lets two through now and then. What counts is that no work is
// lost or doubled then.
func untilKept(turn func() error, again *atomic.Int32) error {
	for range 5 {
		err := turn()
		if !errors.Is(err, state.ErrLeaseLost) {
			return err
		}
		again.Add(1)
	}
	return turn()
}

// addOne adds one to what it finds, in a session.
func addOne(ctx context.Context, store state.Store, command string) error {
	s, err := state.Begin(ctx, store, state.Options{Command: command, Wait: patience})
	if err != nil {
		return err
	}
	n, err := countOf(s)
	if err == nil {
		err = s.Commit(ctx, count(n))
	}
	if err == nil {
		err = s.CommitClosing(ctx, count(n+1))
	}
	return errors.Join(err, s.Close(ctx))
}

// testLostAnswers loses the answer to every call that changes something.
func testLostAnswers(t *testing.T, place Place) {
	ctx := t.Context()
	store := &Faulty{Store: place.Open(), After: func(call string) error {
		if call == "Put" || call == "SwapLease" {
			return ErrFault
		}
		return nil
	}}
	s := begin(t, store, state.Options{Command: "apply"})
	for n := 1; n <= 3; n++ {
		want(t, s.Commit(ctx, count(n)), nil)
	}
	want(t, s.CommitClosing(ctx, count(4)), nil)
	if err := s.Close(ctx); err != nil && !errors.Is(err, ErrFault) {
		t.Fatal(err)
	}
	if history := holds(t, place.Open(), 4); len(history.Snapshots) != 4 {
		t.Errorf("have %d snapshots, want 4", len(history.Snapshots))
	}
	// The release came through although its answer did not.
	next := begin(t, place.Open(), state.Options{Command: "apply"})
	if last := next.Head().Snapshot; last.Serial != 4 {
		t.Errorf("the next session begins at %s", last.Serial)
	}
}

// testFlaky fails every other call, before its effect or after it in turn.
func testFlaky(t *testing.T, place Place) {
	ctx := t.Context()
	var calls atomic.Int32
	var steady atomic.Bool
	steady.Store(true)
	fault := func(every int32) error {
		if !steady.Load() && calls.Add(1)%every == 0 {
			return ErrFault
		}
		return nil
	}
	store := &Faulty{Store: place.Open(),
		Before: func(string) error { return fault(4) },
		After:  func(string) error { return fault(6) },
	}
	s := begin(t, store, state.Options{Command: "apply"})
	steady.Store(false)
	committed := 0
	for n := 1; n <= 6; n++ {
		if err := s.Commit(ctx, count(n)); err == nil {
			committed = n
		} else {
			want(t, err, ErrFault)
		}
	}
	steady.Store(true)
	if committed == 0 {
		t.Fatal("nothing was committed")
	}
	want(t, s.CommitClosing(ctx, count(7)), nil)
	want(t, s.Close(ctx), nil)
	holds(t, place.Open(), 7)
}

// testFailsInMiddle has the store go away when a commit has reached it, for
// good as far as the session can tell. The next session finds the commit.
func testFailsInMiddle(t *testing.T, place Place) {
	ctx := t.Context()
	var down atomic.Bool
	store := &Faulty{Store: place.Open(), Before: func(string) error {
		if down.Load() {
			return ErrFault
		}
		return nil
	}}
	store.After = func(call string) error {
		if call == "Put" && down.Load() {
			return ErrFault
		}
		return nil
	}
	s := begin(t, store, state.Options{Command: "apply", Actor: "ann@laptop", TTL: frozenTTL})
	want(t, s.Commit(ctx, count(1)), nil)
	armed := true
	store.Before = func(call string) error {
		if call == "Put" && armed {
			armed = false
			down.Store(true)
			return nil
		}
		if down.Load() {
			return ErrFault
		}
		return nil
	}
	if err := s.Commit(ctx, count(2)); err == nil {
		t.Fatal("a commit that nobody confirmed went well")
	}
	if err := s.Close(ctx); err == nil {
		t.Log("the lease was left to end by itself")
	}
	next := begin(t, place.Open(), state.Options{Command: "apply", Actor: "bob@desk"})
	want(t, next.CommitClosing(ctx, count(counted(t, next.Head().Snapshot)+1)), nil)
	want(t, next.Close(ctx), nil)
	holds(t, place.Open(), 3)
}

// frost is a store whose Put can be stopped just before its effect, while all
// other calls wait too: a process that was frozen.
type frost struct {
	Faulty
	frozen chan struct{} // closed when it is frozen
	thaw   chan struct{} // to be closed
	armed  atomic.Bool
}

func newFrost(store state.Store) *frost {
	f := &frost{frozen: make(chan struct{}), thaw: make(chan struct{})}
	f.Store = store
	var once sync.Once
	f.Before = func(call string) error {
		if f.armed.Load() && call == "Put" {
			once.Do(func() { close(f.frozen) })
		}
		select {
		case <-f.frozen:
			<-f.thaw
		default:
		}
		return nil
	}
	return f
}

// Put hides that time passed: the frozen process saw none pass.
func (f *frost) Put(ctx context.Context, serial state.Serial, data []byte) error {
	return f.Faulty.Put(context.WithoutCancel(ctx), serial, data)
}

func testFrozen(t *testing.T, place Place) {
	ctx := t.Context()
	store := newFrost(place.Open())
	ann := begin(t, store, state.Options{Command: "apply", Actor: "ann@laptop", TTL: frozenTTL})
	want(t, ann.Commit(ctx, count(1)), nil)
	store.armed.Store(true)
	outcome := make(chan error, 1)
	go func() { outcome <- ann.Commit(ctx, count(100)) }()
	<-store.frozen

	bob := begin(t, &Faulty{Store: place.Open()}, state.Options{Command: "apply", Actor: "bob@desk"})
	if have := counted(t, bob.Head().Snapshot); have != 1 {
		t.Fatalf("bob sees %d", have)
	}
	close(store.thaw)
	want(t, <-outcome, state.ErrLeaseLost)
	want(t, ann.Commit(ctx, count(101)), state.ErrLeaseLost)
	if _, _, err := ann.Call(ctx, 0); !errors.Is(err, state.ErrLeaseLost) {
		t.Errorf("a call is allowed: %v", err)
	}
	want(t, bob.CommitClosing(ctx, count(2)), nil)
	want(t, bob.Close(ctx), nil)
	if err := ann.Close(ctx); err != nil && !errors.Is(err, state.ErrLeaseLost) {
		t.Error(err)
	}
	holds(t, place.Open(), 2)
}

func testFrozenFirst(t *testing.T, place Place) {
	ctx := t.Context()
	store := newFrost(place.Open())
	ann := begin(t, store, state.Options{Command: "apply", Actor: "ann@laptop", TTL: frozenTTL})
	store.armed.Store(true)
	outcome := make(chan error, 1)
	go func() { outcome <- ann.Commit(ctx, count(100)) }()
	<-store.frozen

	bob := begin(t, &Faulty{Store: place.Open()}, state.Options{Command: "apply", Actor: "bob@desk"})
	if head := bob.Head().Snapshot; head != nil {
		t.Fatalf("bob sees %+v", head)
	}
	close(store.thaw)
	want(t, <-outcome, state.ErrLeaseLost)
	want(t, bob.Commit(ctx, count(1)), nil)
	want(t, bob.Close(ctx), nil)
	holds(t, place.Open(), 1)
}

func testPrune(t *testing.T, place Place) {
	ctx := t.Context()
	for n := range 3 {
		s := begin(t, place.Open(), state.Options{Command: "apply"})
		for k := range 3 {
			want(t, s.Commit(ctx, count(10*n+k)), nil)
		}
		want(t, s.CommitClosing(ctx, count(10*n+9)), nil)
		want(t, s.Close(ctx), nil)
	}
	s := begin(t, place.Open(), state.Options{Command: "state prune"})
	want(t, s.Commit(ctx, count(42)), nil)
	removed, err := s.Prune(ctx)
	if err != nil || removed != 9 {
		t.Fatalf("removed %d, %v", removed, err)
	}
	removed, err = s.Prune(ctx)
	if err != nil || removed != 0 {
		t.Fatalf("then removed %d, %v", removed, err)
	}
	want(t, s.CommitClosing(ctx, count(43)), nil)
	want(t, s.Close(ctx), nil)
	history := holds(t, place.Open(), 43)
	var serials []state.Serial
	for _, snapshot := range history.Snapshots {
		serials = append(serials, snapshot.Serial)
	}
	if fmt.Sprint(serials) != "[000004 000008 000012 000013 000014]" {
		t.Errorf("left are %v", serials)
	}
}
