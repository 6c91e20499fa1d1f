package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// stub is a provider of servers whose answers a test scripts.
type stub struct {
	resource.Driver
	mu      sync.Mutex
	create  func(n int, c resource.Call) []resource.Result // n counts from 1
	update  func(n int, c resource.Call) []resource.Result
	listing func(n int) resource.Listing
	calls   []resource.Call
	creates int
	updates int
	lists   int
	flying  int
	most    int
	takes   time.Duration
}

func (s *stub) fly() func() {
	s.mu.Lock()
	s.flying++
	s.most = max(s.most, s.flying)
	s.mu.Unlock()
	if s.takes > 0 {
		<-time.After(s.takes)
	}
	return func() { s.mu.Lock(); s.flying--; s.mu.Unlock() }
}

func (s *stub) Create(_ context.Context, c resource.Call) []resource.Result {
	defer s.fly()()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creates++
	s.calls = append(s.calls, c)
	if s.create == nil {
		return made(c)
	}
	return s.create(s.creates, c)
}

func (s *stub) Update(_ context.Context, c resource.Call) []resource.Result {
	defer s.fly()()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates++
	s.calls = append(s.calls, c)
	return s.update(s.updates, c)
}

func (s *stub) List(context.Context, resource.Query) (resource.Listing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	if s.listing == nil {
		return resource.Listing{}, nil
	}
	return s.listing(s.lists), nil
}

// made answers that every item was made and is ready.
func made(c resource.Call) []resource.Result {
	var results []resource.Result
	for _, item := range c.Items {
		results = append(results, resource.Result{Address: item.Mark.Address, Found: thingOf(item.Mark, true)})
	}
	return results
}

func thingOf(m resource.Mark, ready bool) *resource.Found {
	return &resource.Found{Mark: m, Provider: "cloud", ID: "id-" + m.Address.String(), Ready: ready, Facts: resource.Facts{Status: "new"}}
}

func serverMark(i int) resource.Mark {
	return resource.Mark{Stack: stackID, Address: resource.Server("blue", i), Generation: 1}
}

// createSteps are creates of servers 0 to n-1, independent of each other.
func createSteps(n int) []Step {
	var steps []Step
	for i := range n {
		steps = append(steps, Step{ID: fmt.Sprintf("create %d", i), Do: DoCreate, Provider: "cloud", Items: []resource.Item{{Mark: serverMark(i), Spec: &resource.ServerSpec{Group: "blue", Size: "small"}}}})
	}
	return steps
}

// walkStub walks steps with a stub, and gives the result, the ledger and what was told.
func walkStub(ctx context.Context, s *stub, steps []Step, with func(*World)) (Result, *Ledger, []Event) {
	p := &Plan{Format: Format, Stack: stackID, Steps: steps}
	w := World{
		Drivers: Drivers{Clouds: map[string]Cloud{"cloud": {Driver: s, Schema: resource.Schema{ListLag: 3 * time.Second}}}},
		Ledger:  NewLedger(resource.Memory{Stack: stackID}, Have{}, "ann"),
	}
	var events []Event
	w.Event = func(e Event) { events = append(events, e) }
	if with != nil {
		with(&w)
	}
	return Walk(ctx, p, w), w.Ledger, events
}

func failAll(kind resource.ErrorKind, until time.Time) func(resource.Call) []resource.Result {
	return func(c resource.Call) []resource.Result {
		return resource.Fail(c, &resource.Error{Kind: kind, Message: string(kind), Until: until})
	}
}

func TestWalkTriesAgainWhatMayHelp(t *testing.T) {
	for _, c := range []struct {
		kind    resource.ErrorKind
		creates int // calls made, when every first one fails so
		failed  bool
	}{
		{resource.Busy, 2, false},
		{resource.RateLimited, 2, false},
		{resource.Unavailable, 2, false},
		{resource.Ambiguous, 2, false}, // looked for, not found
		{resource.Invalid, 1, true},
		{resource.Quota, 1, true},
		{resource.Unauthorized, 1, true},
		{resource.Conflict, 1, true},
		{resource.Failed, 1, true},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := &stub{create: func(n int, call resource.Call) []resource.Result {
					if n == 1 {
						return failAll(c.kind, began.Add(42*time.Second))(call)
					}
					return made(call)
				}}
				r, _, _ := walkStub(t.Context(), s, createSteps(1), nil)
				if s.creates != c.creates || (len(r.Failed) > 0) != c.failed {
					t.Errorf("%d creates, failed %v", s.creates, r.Failed)
				}
				if took := time.Since(began); c.kind == resource.RateLimited && took != 42*time.Second {
					t.Errorf("a rate limit until 42s was waited for %s", took)
				}
			})
		})
	}
}

func TestWalkGivesUpWhenPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &stub{create: func(_ int, c resource.Call) []resource.Result { return failAll(resource.Unavailable, time.Time{})(c) }}
		r, _, _ := walkStub(t.Context(), s, createSteps(1), nil)
		took := time.Since(began)
		if len(r.Failed) != 1 || resource.KindOf(r.Failed[0].Err) != resource.Unavailable || took < DefaultPace.Patience || took > 2*DefaultPace.Patience {
			t.Errorf("after %s: %+v", took, r)
		}
	})
}

func TestLostAnswerIsNotMadeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{
			create: func(_ int, c resource.Call) []resource.Result { return failAll(resource.Ambiguous, time.Time{})(c) },
			listing: func(n int) resource.Listing {
				if n < 3 {
					return resource.Listing{} // lists lag
				}
				return resource.Listing{Found: []resource.Found{*thingOf(serverMark(0), true)}}
			},
		}
		r, l, _ := walkStub(t.Context(), s, createSteps(1), nil)
		rec := l.Memory().Records[resource.Server("blue", 0)]
		if s.creates != 1 || len(r.Failed) > 0 || rec.ID == "" || rec.Announced {
			t.Errorf("%d creates, %v, %+v", s.creates, r.Failed, rec)
		}
	})
}

func TestBatchAnswersForEachItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := createSteps(1)[0]
		for i := 1; i < 4; i++ {
			step.Items = append(step.Items, resource.Item{Mark: serverMark(i), Spec: step.Items[0].Spec})
		}
		s := &stub{create: func(n int, c resource.Call) []resource.Result {
			results := made(c)
			if n == 1 {
				results[1] = resource.Result{Address: c.Items[1].Mark.Address, Err: resource.KindError(resource.Busy)}
				results[2] = resource.Result{Address: c.Items[2].Mark.Address, Err: resource.KindError(resource.Quota)}
				return results[:3] // of the last there is no word
			}
			return results
		}}
		r, l, _ := walkStub(t.Context(), s, []Step{step}, nil)
		if len(r.Failed) != 1 || r.Failed[0].Address != resource.Server("blue", 2) {
			t.Errorf("failed: %v", r.Failed)
		}
		again := []int{}
		for _, item := range s.calls[1].Items {
			again = append(again, item.Mark.Address.Index)
		}
		if !slices.Equal(again, []int{1, 3}) {
			t.Errorf("made again: %v", again)
		}
		if m := l.Memory(); len(m.Records) != 4 || !m.Records[resource.Server("blue", 2)].Announced {
			t.Errorf("records: %v", m.Records)
		}
	})
}

func TestWhatWasMadeBeforeItFailedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{create: func(_ int, c resource.Call) []resource.Result {
			return []resource.Result{{Address: c.Items[0].Mark.Address, Found: thingOf(c.Items[0].Mark, false), Err: resource.KindError(resource.Unavailable)}}
		}}
		r, l, _ := walkStub(t.Context(), s, createSteps(1), nil)
		if rec := l.Memory().Records[resource.Server("blue", 0)]; s.creates != 1 || len(r.Failed) != 1 || rec.ID == "" {
			t.Errorf("%d creates, %v, %+v", s.creates, r.Failed, rec)
		}
	})
}

func TestReadinessIsAskedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{create: func(_ int, c resource.Call) []resource.Result {
			return []resource.Result{{Address: c.Items[0].Mark.Address, Found: thingOf(c.Items[0].Mark, false)}}
		}}
		s.listing = func(n int) resource.Listing {
			var l resource.Listing
			for i := range 30 {
				l.Found = append(l.Found, *thingOf(serverMark(i), n >= 3))
			}
			return l
		}
		r, _, _ := walkStub(t.Context(), s, createSteps(30), nil)
		if len(r.Done) != 30 || s.lists != 3 {
			t.Errorf("%d done, %d lists", len(r.Done), s.lists)
		}
	})
}

func TestNeverReadyIsAnErrorWithItsLastWords(t *testing.T) {
	for name, found := range map[string]func() *resource.Found{
		"not ready": func() *resource.Found { return thingOf(serverMark(0), false) },
		"problem":   func() *resource.Found { f := thingOf(serverMark(0), false); f.Problem = "no capacity"; return f },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stub{
					create: func(_ int, c resource.Call) []resource.Result {
						return []resource.Result{{Address: c.Items[0].Mark.Address, Found: thingOf(c.Items[0].Mark, false)}}
					},
					listing: func(int) resource.Listing { return resource.Listing{Found: []resource.Found{*found()}} },
				}
				began := time.Now()
				r, _, _ := walkStub(t.Context(), s, createSteps(1), nil)
				if len(r.Failed) != 1 {
					t.Fatalf("%+v", r)
				}
				err := r.Failed[0].Err
				switch name {
				case "problem":
					if !strings.Contains(err.Error(), "no capacity") || time.Since(began) > 5*time.Second {
						t.Errorf("after %s: %v", time.Since(began), err)
					}
				default:
					if !strings.Contains(err.Error(), "not ready after 15m0s: new") || resource.HintOf(err) == "" {
						t.Errorf("%v, hint %q", err, resource.HintOf(err))
					}
				}
			})
		})
	}
}

func TestFailureSkipsWhatRestsOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := createSteps(5)
		steps[1].Needs = []string{"create 0"}
		steps[2].Needs = []string{"create 1"}
		steps[3].Needs = []string{"create 1", "create 2"}
		s := &stub{create: func(_ int, c resource.Call) []resource.Result {
			if c.Items[0].Mark.Address.Index == 0 {
				return failAll(resource.Quota, time.Time{})(c)
			}
			return made(c)
		}}
		r, _, events := walkStub(t.Context(), s, steps, nil)
		if len(r.Failed) != 1 || !slices.Equal(r.Skipped, []string{"create 1", "create 2", "create 3"}) || !slices.Equal(r.Done, []string{"create 4"}) || r.Interrupted {
			t.Errorf("%+v", r)
		}
		told := map[string][]Happening{}
		for _, e := range events {
			told[e.Step] = append(told[e.Step], e.What)
		}
		for step, want := range map[string][]Happening{"create 0": {Started, Failed}, "create 1": {Skipped}, "create 3": {Skipped}, "create 4": {Started, Done}} {
			if !slices.Equal(told[step], want) {
				t.Errorf("%s: told %v, want %v", step, told[step], want)
			}
		}
	})
}

func TestParallelismIsKept(t *testing.T) {
	for _, limit := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := &stub{takes: time.Second}
			began := time.Now()
			walkStub(t.Context(), s, createSteps(30), func(w *World) { w.Parallel = limit })
			want := max(limit, 1)
			if limit == 0 {
				want = 10
			}
			if s.most != want || time.Since(began) != time.Duration(30/want)*time.Second {
				t.Errorf("limit %d: %d at a time, %s", limit, s.most, time.Since(began))
			}
		})
	}
}

func TestNothingIsCreatedBeforeItIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("disk full")
		s := &stub{}
		r, _, _ := walkStub(t.Context(), s, createSteps(3), func(w *World) { w.Commit = func(context.Context) error { return broken } })
		if s.creates != 0 || !r.Interrupted || !errors.Is(r.Err, broken) || len(r.Skipped) != 3 {
			t.Errorf("%d creates, %+v", s.creates, r)
		}
		commits := 0
		s = &stub{}
		walkStub(t.Context(), s, createSteps(100), func(w *World) {
			w.Commit = func(context.Context) error {
				commits++
				if m := w.Ledger.Memory(); len(m.Records) != 100 || !m.Records[resource.Server("blue", 99)].Announced {
					t.Errorf("committed: %d records", len(m.Records))
				}
				return nil
			}
		})
		if commits != 1 {
			t.Errorf("%d commits for 100 creates", commits)
		}
	})
}

func TestLostLeaseStopsTheWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lease lost")
		s := &stub{takes: time.Second}
		calls := 0
		r, _, _ := walkStub(t.Context(), s, createSteps(30), func(w *World) {
			w.Parallel = 1
			w.May = func() error {
				if calls++; calls > 2 {
					return lost
				}
				return nil
			}
		})
		if s.creates != 2 || !r.Interrupted || !errors.Is(r.Err, lost) || len(r.Failed) > 0 {
			t.Errorf("%d creates, %+v", s.creates, r)
		}
	})
}

func TestLostLeaseLeavesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lease lost")
		s := &stub{create: func(_ int, c resource.Call) []resource.Result {
			return []resource.Result{{Address: c.Items[0].Mark.Address, Found: thingOf(c.Items[0].Mark, false)}}
		}}
		began := time.Now()
		r, _, _ := walkStub(t.Context(), s, createSteps(3), func(w *World) {
			w.May = func() error {
				if time.Since(began) > 2*time.Second {
					return lost
				}
				return nil
			}
		})
		if !r.Interrupted || !errors.Is(r.Err, lost) || len(r.Failed) > 0 || time.Since(began) > 10*time.Second {
			t.Errorf("after %s: %+v", time.Since(began), r)
		}
	})
}

func TestCancelLetsCallsFinishAndLeavesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{takes: 10 * time.Second, create: func(_ int, c resource.Call) []resource.Result {
			return []resource.Result{{Address: c.Items[0].Mark.Address, Found: thingOf(c.Items[0].Mark, false)}}
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		r, l, _ := walkStub(ctx, s, createSteps(5), func(w *World) { w.Parallel = 2 })
		if s.creates != 2 || !r.Interrupted || len(r.Failed) > 0 || r.Err != nil {
			t.Errorf("%d creates, %+v", s.creates, r)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if rec := l.Memory().Records[resource.Server("blue", 0)]; rec.ID == "" || rec.Announced {
			t.Errorf("what the running call made: %+v", rec)
		}
	})
}

func TestCallCarriesWhatItNeedsAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := createSteps(1)
		steps[0].Secrets, steps[0].Releases = []string{"d1"}, []string{"v1"}
		with := func(w *World) {
			w.Secrets = map[string]string{"d1": "hunter2", "d2": "other"}
			w.UserData = func(_ context.Context, items []resource.Item) (string, error) {
				return fmt.Sprintf("for %d", len(items)), nil
			}
		}
		s := &stub{}
		p := &Plan{Format: Format, Stack: stackID, Steps: steps, Releases: map[string]resource.ReleaseEntry{"v1": {ID: "v1", Document: json.RawMessage(`{}`)}, "v2": {}}}
		w := World{Drivers: Drivers{Clouds: map[string]Cloud{"cloud": {Driver: s}}}, Ledger: NewLedger(resource.Memory{}, Have{}, "ann")}
		with(&w)
		if r := Walk(t.Context(), p, w); len(r.Failed) > 0 {
			t.Fatal(r.Failed)
		}
		c := s.calls[0]
		if len(c.Secrets) != 1 || c.Secrets["d1"] != "hunter2" || len(c.Releases) != 1 || c.Releases["v1"].ID != "v1" || c.UserData != "for 1" {
			t.Errorf("%+v", c)
		}
		steps[0].Secrets = []string{"d3"}
		s = &stub{}
		r, _, _ := walkStub(t.Context(), s, steps, with)
		if s.creates != 0 || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "d3") {
			t.Errorf("a missing secret: %d creates, %v", s.creates, r.Failed)
		}
	})
}

func TestUpdateThatIsRepeatedKnowsWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		have := thingOf(serverMark(0), true)
		step := Step{ID: "update", Do: DoUpdate, Provider: "cloud", Items: []resource.Item{{Mark: serverMark(0), Spec: &resource.ServerSpec{Size: "large"}, Have: have, Changed: []string{"size"}}}}
		s := &stub{update: func(n int, c resource.Call) []resource.Result {
			if n == 1 {
				return failAll(resource.Ambiguous, time.Time{})(c)
			}
			return made(c)
		}}
		r, _, _ := walkStub(t.Context(), s, []Step{step}, nil)
		if s.updates != 2 || s.lists != 0 || len(r.Failed) > 0 || s.calls[1].Items[0].Have == nil {
			t.Errorf("%d updates, %d lists, %+v", s.updates, s.lists, r)
		}
	})
}

func TestDamagedPlanIsNotWalked(t *testing.T) {
	steps := createSteps(2)
	steps[1].Needs = []string{"nothing"}
	s := &stub{}
	r, _, _ := walkStub(t.Context(), s, steps, nil)
	if s.creates > 0 || r.Err == nil || !strings.Contains(r.Err.Error(), `needs "nothing"`) {
		t.Errorf("%d creates, %+v", s.creates, r)
	}
}
