package storetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cloudship/cloudship/state"
)

// What a process is told that a test starts: the place, and whether to take
// turns rather than to commit until it is killed.
const (
	childVariable = "CLOUDSHIP_STORETEST_URL"
	turnsVariable = "CLOUDSHIP_STORETEST_TURNS"
)

// Main runs the tests, or, started by one of them, the process that it wants.
func Main(m *testing.M) {
	url := os.Getenv(childVariable)
	if url == "" {
		os.Exit(m.Run())
	}
	play := commitForever
	if os.Getenv(turnsVariable) != "" {
		play = takeTurns
	}
	if err := play(context.Background(), url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// commitForever counts on from what it finds, and says every number when it is
// committed.
func commitForever(ctx context.Context, url string) error {
	store, err := state.Open(ctx, url)
	if err != nil {
		return err
	}
	s, err := state.Begin(ctx, store, state.Options{Command: "apply"})
	if err != nil {
		return err
	}
	n, err := countOf(s)
	if err != nil {
		return err
	}
	fmt.Println(n)
	for {
		n++
		commit := s.Commit
		if n%3 == 0 {
			commit = s.CommitClosing
		}
		if err := commit(ctx, count(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// countOf reads what count wrote into the head; 0 if nothing did.
func countOf(s *state.Session) (n int, err error) {
	if head := s.Head().Snapshot; head != nil {
		_, err = fmt.Sscanf(string(head.Body), `{"count":%d}`, &n)
	}
	return n, err
}

// turns is how many sessions each of the racing processes has.
const turns = 4

// takeTurns adds one in each of several sessions.
func takeTurns(ctx context.Context, url string) error {
	store, err := state.Open(ctx, url)
	if err != nil {
		return err
	}
	var again atomic.Int32
	for range turns {
		if err := untilKept(func() error { return addOne(ctx, store, "apply") }, &again); err != nil {
			return err
		}
	}
	return nil
}

// testProcesses has processes race for the lease. None of their work is lost.
func testProcesses(t *testing.T, place Place) {
	if place.URL == "" {
		return // no other process can open it
	}
	const processes = 3
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), childVariable+"="+place.URL, turnsVariable+"=1")
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if !t.Failed() {
		holds(t, place.Open(), processes*turns)
	}
}

// testKill kills a process in the midst of its commits, again and again. Every
// number that it said is there, the lease is free at once, the chain is whole.
func testKill(t *testing.T, place Place) {
	if place.URL == "" {
		return // no other process can open it
	}
	said := 0
	for round := range 6 {
		last, err := runAndKill(t.Context(), place.URL, 3+round)
		if err != nil {
			t.Fatal(err)
		}
		if last < said {
			t.Fatalf("round %d said %d, the one before %d", round, last, said)
		}
		said = last
		head, err := state.ReadHead(t.Context(), place.Open())
		if err != nil {
			t.Fatal(err)
		}
		if have := counted(t, head.Snapshot); have < said {
			t.Fatalf("the store has %d, the process had said %d", have, said)
		}
	}
	s, err := state.Begin(t.Context(), place.Open(), state.Options{Command: "apply"}) // without a wait
	if err != nil {
		t.Fatal(err)
	}
	want(t, s.CommitClosing(t.Context(), count(1)), nil)
	want(t, s.Close(t.Context()), nil)
	holds(t, place.Open(), 1)
}

// runAndKill starts the process, kills it after it said so many numbers, and
// returns the last that it said.
func runAndKill(ctx context.Context, url string, numbers int) (last int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), childVariable+"="+url)
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	killed := false
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			return 0, err
		}
		if numbers--; numbers <= 0 && !killed {
			killed = true
			if err := child.Process.Kill(); err != nil {
				return 0, err
			}
		}
	}
	waitErr := child.Wait()
	if !killed {
		return 0, fmt.Errorf("the process ended by itself: %w: %s", waitErr, stderr.String())
	}
	return last, nil
}
