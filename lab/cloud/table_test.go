package cloud

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestTableShowsWhatALaggingCloudShows(t *testing.T) {
	var table Table[int, string]
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	second := Duration(time.Second)
	table.Put(at(0), 1, "one")
	table.Put(at(10), 2, "two")
	table.Delete(at(20), 1, at(23))

	list := func(s int, lag Duration) string { return fmt.Sprint(table.List(at(s), lag)) }
	find := func(s, k int, hidden Duration) bool { _, ok := table.Find(at(s), k, hidden); return ok }
	for _, test := range []struct {
		what      string
		got, want any
	}{
		{"list at once", list(10, 0), "[one two]"},
		{"list lags behind a create", list(12, 5*second), "[one]"},
		{"list has caught up", list(15, 5*second), "[one two]"},
		{"deleted is still shown", list(22, 0), "[one two]"},
		{"deleted is gone", list(23, 0), "[two]"},
		{"list lags behind a delete", list(24, 5*second), "[one two]"},
		{"list lags no longer", list(25, 5*second), "[two]"},
		{"not found just after create", find(11, 2, 2*second), false},
		{"found later", find(12, 2, 2*second), true},
		{"found just after delete", find(22, 1, 0), true},
		{"not found later", find(23, 1, 0), false},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", test.what, test.got, test.want)
		}
	}
	if _, ok := table.Get(1); ok || table.Len() != 1 {
		t.Error("what was deleted exists")
	}

	b, err := json.Marshal(&table)
	if err != nil {
		t.Fatal(err)
	}
	var again Table[int, string]
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(again.List(at(22), 0)); got != "[one two]" {
		t.Errorf("after a restart: %s", got)
	}
	again.List(at(20).Add(keepDeleted), 0)
	if len(again.rows) != 1 || len(again.order) != 1 {
		t.Errorf("what was deleted long ago is kept: %d rows", len(again.order))
	}
}

func TestWindowSlides(t *testing.T) {
	var w Window
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	take := func(after time.Duration) (int, time.Duration, bool) {
		left, reset, ok := w.Take(start.Add(after), 2, time.Minute)
		return left, reset.Sub(start), ok
	}
	for _, test := range []struct {
		after, reset time.Duration
		left         int
		ok           bool
	}{
		{0, time.Minute, 1, true},
		{30 * time.Second, time.Minute, 0, true},
		{40 * time.Second, time.Minute, 0, false},
		{time.Minute, 90 * time.Second, 0, true}, // the first has aged out
		{61 * time.Second, 90 * time.Second, 0, false},
	} {
		left, reset, ok := take(test.after)
		if left != test.left || reset != test.reset || ok != test.ok {
			t.Errorf("after %v: %d left, reset %v, %v; want %+v", test.after, left, reset, ok, test)
		}
	}
}
