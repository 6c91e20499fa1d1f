// Package storetest proves that a store keeps the contract of state.Store, and
// that sessions over it keep theirs: under races, lost answers, a store that
// fails in the middle, a holder that freezes, and kill -9.
//
// A store joins with a few lines:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Place {
//			return storetest.URL(t, "s3://bucket/"+rand.Text())
//		})
//	}
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudship/cloudship/state"
)

// A Place is where one stack's state is kept, empty at first.
type Place struct {
	// Open returns a client of the place, another one at every call.
	Open func() state.Store

	// URL opens the place from another process; "" if none can.
	URL string
}

// URL is the place that state.Open opens.
func URL(t *testing.T, url string) Place {
	return Place{URL: url, Open: func() state.Store {
		store, err := state.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}}
}

// Run proves the store that has the places which fresh returns.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	Quick(t, fresh)
	run(t, fresh, []test{
		{"a store that fails in the middle of a commit", testFailsInMiddle},
		{"a frozen holder cannot commit", testFrozen},
		{"a frozen holder cannot make the first commit", testFrozenFirst},
	})
}

// Quick is Run without the tests in which a lease has to run out.
func Quick(t *testing.T, fresh func(t *testing.T) Place) {
	run(t, fresh, []test{
		{"a number is given once", testPutIfAbsent},
		{"bytes come back as they were", testBytes},
		{"numbers are listed in order", testList},
		{"one of many puts wins", testRacingPuts},
		{"the lease is swapped by version", testSwap},
		{"one of many swaps wins", testRacingSwaps},
		{"the lease's age is the store's", testAge},
		{"two sessions exclude each other", testExclusion},
		{"sessions take turns", testTurns},
		{"lost answers do no harm", testLostAnswers},
		{"a store that fails now and then", testFlaky},
		{"pruning keeps the chain", testPrune},
		{"processes race", testProcesses},
		{"kill -9", testKill},
	})
}

type test struct {
	name string
	test func(t *testing.T, place Place)
}

func run(t *testing.T, fresh func(t *testing.T) Place, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, fresh(t))
		})
	}
}

// want ends the test if got is no such error.
func want(t *testing.T, got, target error) {
	t.Helper()
	if !errors.Is(got, target) {
		t.Fatalf("have error %v, want %v", got, target)
	}
}

func testPutIfAbsent(t *testing.T, place Place) {
	ctx, store := t.Context(), place.Open()
	_, err := store.Get(ctx, 1)
	want(t, err, state.ErrAbsent)
	want(t, store.Delete(ctx, 1), nil)
	want(t, store.Put(ctx, 1, []byte("one")), nil)
	want(t, store.Put(ctx, 1, []byte("another")), state.ErrExists)
	want(t, place.Open().Put(ctx, 1, []byte("one")), state.ErrExists)
	data, err := place.Open().Get(ctx, 1)
	if err != nil || string(data) != "one" {
		t.Fatalf("have %q, %v", data, err)
	}
	want(t, store.Delete(ctx, 1), nil)
	want(t, store.Delete(ctx, 1), nil)
	_, err = store.Get(ctx, 1)
	want(t, err, state.ErrAbsent)
	want(t, store.Put(ctx, 1, []byte("again")), nil)
}

func testBytes(t *testing.T, place Place) {
	ctx, store := t.Context(), place.Open()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	for i, data := range [][]byte{{0, 255, '\n', '\r', 0}, []byte("{\"ü\": 1}\n"), large} {
		serial := state.Serial(i + 1)
		want(t, store.Put(ctx, serial, data), nil)
		have, err := store.Get(ctx, serial)
		if err != nil || !bytes.Equal(have, data) {
			t.Fatalf("snapshot %d: %d bytes became %d, %v", serial, len(data), len(have), err)
		}
	}
}

func testList(t *testing.T, place Place) {
	ctx, store := t.Context(), place.Open()
	list := func(after state.Serial, want ...state.Serial) {
		t.Helper()
		have, err := store.List(ctx, after)
		if err != nil || !slices.Equal(have, want) {
			t.Fatalf("after %d: have %d, %v; want %d", after, have, err, want)
		}
	}
	list(0)
	for _, serial := range []state.Serial{2, 1000000, 1, 999999, 10, 1000001} {
		want(t, store.Put(ctx, serial, []byte("x")), nil)
	}
	list(0, 1, 2, 10, 999999, 1000000, 1000001)
	list(2, 10, 999999, 1000000, 1000001)
	list(999998, 999999, 1000000, 1000001)
	list(999999, 1000000, 1000001)
	list(1000001)
	want(t, store.Delete(ctx, 10), nil)
	list(1, 2, 999999, 1000000, 1000001)
}

const racers = 8

// race runs the function in many goroutines at once and counts the nils.
func race(t *testing.T, place Place, run func(i int, store state.Store) error, refusal error) (winner, winners int) {
	t.Helper()
	var start, done sync.WaitGroup
	start.Add(1)
	results := make([]error, racers)
	for i := range racers {
		store := place.Open()
		done.Go(func() {
			start.Wait()
			results[i] = run(i, store)
		})
	}
	start.Done()
	done.Wait()
	for i, err := range results {
		if err == nil {
			winner = i
			winners++
		} else {
			want(t, err, refusal)
		}
	}
	return winner, winners
}

func testRacingPuts(t *testing.T, place Place) {
	ctx := t.Context()
	for serial := state.Serial(1); serial <= 5; serial++ {
		winner, winners := race(t, place, func(i int, store state.Store) error {
			return store.Put(ctx, serial, fmt.Appendf(nil, "of racer %d", i))
		}, state.ErrExists)
		data, err := place.Open().Get(ctx, serial)
		if winners != 1 || err != nil || string(data) != fmt.Sprintf("of racer %d", winner) {
			t.Fatalf("%d winners, the last is %d, the store has %q, %v", winners, winner, data, err)
		}
	}
}

func testSwap(t *testing.T, place Place) {
	ctx, store := t.Context(), place.Open()
	record, err := store.Lease(ctx)
	if err != nil || record.Version != "" || record.Data != nil {
		t.Fatalf("at first: %+v, %v", record, err)
	}
	_, err = store.SwapLease(ctx, "1", []byte("x"))
	want(t, err, state.ErrMoved)
	first, err := store.SwapLease(ctx, "", []byte("one"))
	want(t, err, nil)
	_, err = place.Open().SwapLease(ctx, "", []byte("another"))
	want(t, err, state.ErrMoved)
	second, err := place.Open().SwapLease(ctx, first, []byte("two"))
	want(t, err, nil)
	_, err = store.SwapLease(ctx, first, []byte("another"))
	want(t, err, state.ErrMoved)
	record, err = store.Lease(ctx)
	if err != nil || string(record.Data) != "two" || record.Version != second || first == second {
		t.Fatalf("after %q and %q: %+v, %v", first, second, record, err)
	}
	serials, err := store.List(ctx, 0)
	if err != nil || len(serials) != 0 {
		t.Fatalf("the lease is listed as %v, %v", serials, err)
	}
}

func testRacingSwaps(t *testing.T, place Place) {
	ctx := t.Context()
	for range 3 {
		before, err := place.Open().Lease(ctx)
		want(t, err, nil)
		winner, winners := race(t, place, func(i int, store state.Store) error {
			// The contract of a guarded store: with the guard held.
			if guarded, ok := store.(state.Guarded); ok {
				release, err := guarded.Guard(ctx)
				if err != nil {
					return state.ErrMoved
				}
				defer release()
			}
			_, err := store.SwapLease(ctx, before.Version, fmt.Appendf(nil, "%s of racer %d", before.Version, i))
			return err
		}, state.ErrMoved)
		after, err := place.Open().Lease(ctx)
		if err != nil || winners != 1 || string(after.Data) != fmt.Sprintf("%s of racer %d", before.Version, winner) {
			t.Fatalf("%d winners, the last is %d, the store has %q, %v", winners, winner, after.Data, err)
		}
	}
}

func testAge(t *testing.T, place Place) {
	ctx, store := t.Context(), place.Open()
	begun := time.Now()
	_, err := store.SwapLease(ctx, "", []byte("one"))
	want(t, err, nil)
	for { // until the age is seen to grow
		record, err := place.Open().Lease(ctx)
		want(t, err, nil)
		passed := time.Since(begun)
		if record.Age > passed+time.Second || record.Age < -time.Second {
			t.Fatalf("%v after the swap its age is %v", passed, record.Age)
		}
		if record.Age >= time.Second {
			return
		}
		if passed > time.Minute {
			t.Fatalf("%v after the swap its age is still %v", passed, record.Age)
		}
		pause(t, 200*time.Millisecond)
	}
}

// pause is for conditions that nobody announces.
func pause(t *testing.T, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
