package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// steady is a clock that starts with the test and that the test may turn
// forward, as if the machine had slept.
type steady struct {
	begun time.Time
	slept atomic.Int64
}

func newSteady() *steady                { return &steady{begun: time.Now()} }
func (c *steady) now() time.Duration    { return time.Since(c.begun) + time.Duration(c.slept.Load()) }
func (c *steady) sleep(d time.Duration) { c.slept.Add(int64(d)) }

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

func start(t *testing.T, store Store, options Options) *Session {
	t.Helper()
	if options.clock == nil {
		options.clock = newSteady().now
	}
	s, err := Begin(t.Context(), store, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.WithoutCancel(t.Context())) })
	return s
}

func number(n int) Source {
	return Fixed(Content{Body: fmt.Appendf(nil, `{"n":%d}`, n)})
}

func want(t *testing.T, got, target error) {
	t.Helper()
	if !errors.Is(got, target) {
		t.Fatalf("have error %v, want %v", got, target)
	}
}

// broken is a store that can be switched off.
type breaking struct {
	Store
	off atomic.Bool
}

var errOff = errors.New("no route to host")

func (b *breaking) Put(ctx context.Context, serial Serial, data []byte) error {
	if b.off.Load() {
		return errOff
	}
	return b.Store.Put(ctx, serial, data)
}

func (b *breaking) Get(ctx context.Context, serial Serial) ([]byte, error) {
	if b.off.Load() {
		return nil, errOff
	}
	return b.Store.Get(ctx, serial)
}

func (b *breaking) SwapLease(ctx context.Context, version string, data []byte) (string, error) {
	if b.off.Load() {
		return "", errOff
	}
	return b.Store.SwapLease(ctx, version, data)
}

func TestNotesAreCommittedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := Memory()
		s := start(t, store, Options{Command: "apply"})
		for i := range 500 { // 5 seconds
			s.Note(number(i))
			pass(10 * time.Millisecond)
		}
		pass(2 * noteEvery)
		have, err := store.List(t.Context(), 0)
		if err != nil || len(have) < 5 || len(have) > 7 {
			t.Errorf("5 seconds of notes made %d commits, %v", len(have), err)
		}
		if last := string(s.Head().Snapshot.Body); last != `{"n":499}` {
			t.Errorf("the last is %s", last)
		}
		s.Note(number(499))
		want(t, s.Flush(t.Context()), nil)
		pass(2 * noteEvery)
		if again, _ := store.List(t.Context(), 0); len(again) != len(have) {
			t.Error("a note that said nothing new was committed")
		}
	})
}

func TestNoteThatFailsIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &breaking{Store: Memory()}
		s := start(t, store, Options{Command: "apply"})
		want(t, s.Commit(t.Context(), number(1)), nil)
		store.off.Store(true)
		s.Note(number(2))
		pass(20 * time.Second)
		if last := string(s.Head().Snapshot.Body); last != `{"n":1}` {
			t.Errorf("the last is %s", last)
		}
		store.off.Store(false)
		pass(10 * time.Second)
		if last := string(s.Head().Snapshot.Body); last != `{"n":2}` {
			t.Errorf("the last is %s", last)
		}
		s.Note(number(3))
		want(t, s.Close(t.Context()), nil)
		head, err := ReadHead(t.Context(), store)
		if err != nil || string(head.Snapshot.Body) != `{"n":3}` {
			t.Errorf("after Close the head is %+v, %v", head.Snapshot, err)
		}
	})
}

func TestWaitingCommitsAreMadeAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := Memory()
		s := start(t, store, Options{Command: "apply"})
		var memory atomic.Int64
		slow := func() (Content, error) {
			n := memory.Load()
			pass(100 * time.Millisecond)
			return Content{Body: fmt.Appendf(nil, `{"n":%d}`, n)}, nil
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				n := memory.Add(1)
				if err := s.Commit(t.Context(), slow); err != nil {
					t.Error(err)
				}
				var have int64
				if _, err := fmt.Sscanf(string(s.Head().Snapshot.Body), `{"n":%d}`, &have); err != nil || have < n {
					t.Errorf("%d was to be committed, the head has %d, %v", n, have, err)
				}
			})
		}
		all.Wait()
		if have, err := store.List(t.Context(), 0); err != nil || len(have) > 3 {
			t.Errorf("100 commits at once made %d snapshots, %v", len(have), err)
		}
	})
}

func TestLeaseIsKeptForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &breaking{Store: Memory()}
		s := start(t, store, Options{Command: "apply"})
		call, done, err := s.Call(t.Context(), time.Second)
		want(t, err, nil)
		for range 20 {
			pass(10 * time.Minute)
			store.off.Store(true) // for less than the lease lasts
			pass(25 * time.Second)
			store.off.Store(false)
			pass(5 * time.Second)
			if left := s.Left(); left < DefaultTTL/2 {
				t.Fatalf("%v is left", left)
			}
		}
		_, err = Begin(t.Context(), store, Options{Command: "apply", Wait: time.Hour, clock: newSteady().now})
		want(t, err, ErrLocked)
		want(t, call.Err(), nil)
		done()
		want(t, s.Commit(t.Context(), number(1)), nil)
		want(t, s.Close(t.Context()), nil)
		want(t, start(t, store, Options{Command: "apply"}).Close(t.Context()), nil)
	})
}

func TestCallsEndWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &breaking{Store: Memory()}
		s := start(t, store, Options{Command: "apply"})
		call, done, err := s.Call(t.Context(), DefaultTTL/2)
		want(t, err, nil)
		defer done()
		lost := s.Lost()
		store.off.Store(true)
		begun := time.Now()
		<-call.Done()
		if passed := time.Since(begun); passed > DefaultTTL {
			t.Errorf("the call ended after %v", passed)
		}
		want(t, context.Cause(call), ErrLeaseLost)
		<-lost
		if s.Left() > 0 {
			t.Errorf("%v is left", s.Left())
		}
		if _, _, err := s.Call(t.Context(), 0); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("another call may be made: %v", err)
		}
		want(t, s.Commit(t.Context(), number(1)), ErrLeaseLost)

		// Nobody came meanwhile: it is ours again.
		store.off.Store(false)
		want(t, s.Commit(t.Context(), number(2)), nil)
		call, done, err = s.Call(t.Context(), DefaultTTL/2)
		want(t, err, nil)
		want(t, call.Err(), nil)
		done()
	})
}

func TestMachineThatSlept(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken %v", taken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := Memory()
				clock := newSteady()
				s := start(t, store, Options{Command: "apply", clock: clock.now})
				want(t, s.Commit(t.Context(), number(1)), nil)
				clock.sleep(time.Hour) // timers stood still
				if s.Left() > 0 {
					t.Errorf("%v is left", s.Left())
				}
				if taken {
					// The store's clock went on; here the record is made old.
					store.(*memory).swapped = time.Now().Add(-time.Hour)
					other := start(t, store, Options{Command: "apply"})
					want(t, other.Commit(t.Context(), number(2)), nil)
					want(t, s.Commit(t.Context(), number(3)), ErrLeaseLost)
					want(t, other.Close(t.Context()), nil)
					return
				}
				want(t, s.Commit(t.Context(), number(3)), nil)
			})
		})
	}
}

// setBack is a store whose clock was set back by an hour.
type setBack struct{ Store }

func (s setBack) Lease(ctx context.Context) (Record, error) {
	record, err := s.Store.Lease(ctx)
	record.Age -= time.Hour
	return record, err
}

func TestStoreWhoseClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := setBack{Memory()}
		alive := start(t, store, Options{Command: "apply"})
		_, err := Begin(t.Context(), store, Options{Command: "apply", clock: newSteady().now})
		want(t, err, ErrLocked)
		alive.stop() // killed: it renews no more
		begun := time.Now()
		s := start(t, store, Options{Command: "apply"})
		if passed := time.Since(begun); passed > DefaultTTL+2*grace+time.Second {
			t.Errorf("the dead one's lease was taken after %v", passed)
		}
		want(t, s.Commit(t.Context(), number(1)), nil)
	})
}

func TestUnreadableLeaseEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := Memory()
		_, err := store.SwapLease(t.Context(), "", []byte("{"))
		want(t, err, nil)
		_, err = Begin(t.Context(), store, Options{Command: "apply", clock: newSteady().now})
		want(t, err, ErrLocked)
		s := start(t, store, Options{Command: "apply", Wait: 2 * DefaultTTL})
		want(t, s.Commit(t.Context(), number(1)), nil)
	})
}

func TestUseChecksStackAndKey(t *testing.T) {
	store := Memory()
	right, wrong := newKey(t), newKey(t)
	s := start(t, store, Options{Command: "apply"})
	want(t, s.Use("shop-1", nil), ErrNoKey)
	want(t, s.Use("shop-1", right), nil)
	want(t, s.Commit(t.Context(), number(1)), nil)
	want(t, s.Close(t.Context()), nil)

	s = start(t, store, Options{Command: "apply"})
	want(t, s.Use("blog-2", right), ErrOther)
	want(t, s.Use("shop-1", wrong), ErrWrongKey)
	want(t, s.Use("shop-1", nil), ErrNoKey)
	want(t, s.Use("shop-1", right), nil)
	want(t, s.Commit(t.Context(), number(2)), nil)
	head := s.Head().Snapshot
	if head.Stack != "shop-1" || head.CheckKey(right) != nil {
		t.Errorf("head is %+v", head)
	}
	want(t, head.CheckKey(wrong), ErrWrongKey)
	want(t, s.Close(t.Context()), nil)
}

func TestBodiesAreRedacted(t *testing.T) {
	store := Memory()
	s := start(t, store, Options{
		Command: "apply --var p=hunter22",
		Redact:  func(text string) string { return strings.ReplaceAll(text, "hunter22", "***") },
	})
	want(t, s.Commit(t.Context(), Fixed(Content{Body: []byte(`{ "p": "hunter22" }`)})), nil)
	if err := s.Commit(t.Context(), Fixed(Content{Body: []byte(`{"p":`)})); err == nil {
		t.Error("half a body was committed")
	}
	failing := errors.New("out of memory")
	want(t, s.Commit(t.Context(), func() (Content, error) { return Content{}, failing }), failing)
	want(t, s.Close(t.Context()), nil)
	data, err := store.Get(t.Context(), 1)
	if err != nil || strings.Contains(string(data), "hunter22") || !strings.Contains(string(data), `{"p":"***"}`) {
		t.Errorf("stored is %s, %v", data, err)
	}
}

func TestFullStoreIsSaidAndLeavesTheSessionUsable(t *testing.T) {
	store := &fullStore{Store: Memory()}
	s := start(t, store, Options{Command: "apply"})
	store.full.Store(true)
	want(t, s.Commit(t.Context(), number(1)), ErrFull)
	store.full.Store(false)
	want(t, s.Commit(t.Context(), number(2)), nil)
	want(t, s.Close(t.Context()), nil)
}

type fullStore struct {
	Store
	full atomic.Bool
}

func (f *fullStore) Put(ctx context.Context, serial Serial, data []byte) error {
	if f.full.Load() {
		return ErrFull
	}
	return f.Store.Put(ctx, serial, data)
}

// TestNumbersThatWentOn has a commit land in a gap that pruning made: it does
// not count and is taken away.
func TestNumbersThatWentOn(t *testing.T) {
	store := Memory()
	s := start(t, store, Options{Command: "apply"})
	want(t, s.Commit(t.Context(), number(1)), nil)
	stranger := &Snapshot{Format: Format, Serial: 7, Actor: "bob@desk", Command: "apply", Closing: true, Body: []byte("{}")}
	data, err := stranger.encode()
	want(t, err, nil)
	want(t, store.Put(t.Context(), 7, data), nil)
	want(t, s.Commit(t.Context(), number(2)), ErrLeaseLost)
	want(t, s.Commit(t.Context(), number(3)), ErrLeaseLost)
	_, err = store.Get(t.Context(), 2)
	want(t, err, ErrAbsent)
}

func newKey(t *testing.T) *Key {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
