package plan

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// asked is a cloud that lists and reads what a test scripts.
type asked struct {
	resource.Driver
	list  func(n int) (resource.Listing, error)
	read  func(have resource.Found) (resource.Found, error)
	lists int
	reads int
}

func (a *asked) List(context.Context, resource.Query) (resource.Listing, error) {
	a.lists++
	return a.list(a.lists)
}

func (a *asked) Read(_ context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	a.reads++
	return a.read(have)
}

func recordsOf(n int, announced bool) map[resource.Address]resource.Record {
	records := map[resource.Address]resource.Record{}
	for i := range n {
		rec := resource.Record{Found: *thingOf(serverMark(i), true), Want: &resource.ServerSpec{Size: "small"}}
		if announced {
			rec = resource.Record{Found: resource.Found{Mark: serverMark(i), Provider: "cloud"}, Announced: true, Want: rec.Want}
		}
		records[serverMark(i).Address] = rec
	}
	return records
}

func gone(resource.Found) (resource.Found, error) {
	return resource.Found{}, resource.KindError(resource.Gone)
}

func TestRefresh(t *testing.T) {
	first := resource.Server("blue", 0)
	nothing := func(int) (resource.Listing, error) { return resource.Listing{}, nil }
	type counts struct{ records, gone, unknown, blind, lists, reads int }
	for _, c := range []struct {
		name    string
		records map[resource.Address]resource.Record
		list    func(n int) (resource.Listing, error)
		read    func(resource.Found) (resource.Found, error)
		want    counts
		took    time.Duration
	}{
		{name: "nothing is there", list: nothing, want: counts{lists: 1}},
		{name: "what vanished is confirmed by a read", records: recordsOf(2, false), list: nothing, read: gone, want: counts{gone: 2, lists: 1, reads: 2}},
		{name: "a list that lags is not believed", records: recordsOf(1, false), list: nothing,
			read: func(f resource.Found) (resource.Found, error) { return f, nil }, want: counts{records: 1, lists: 1, reads: 1}},
		{name: "what can't be confirmed is unknown", records: recordsOf(1, false), list: nothing,
			read: func(resource.Found) (resource.Found, error) {
				return resource.Found{}, resource.KindError(resource.Unavailable)
			}, want: counts{records: 1, unknown: 1, lists: 1, reads: 1}},
		{name: "much that vanished is confirmed by a second list", records: recordsOf(20, false), list: nothing, read: gone, want: counts{gone: 20, lists: 2}},
		{name: "the second list brings it back", records: recordsOf(20, false), list: func(n int) (resource.Listing, error) {
			var l resource.Listing
			for i := range 20 {
				if n > 1 {
					l.Found = append(l.Found, *thingOf(serverMark(i), true))
				}
			}
			return l, nil
		}, want: counts{records: 20, lists: 2}},
		{name: "what was announced is looked for until lists can lag no more", records: recordsOf(1, true), list: nothing, want: counts{records: 1, lists: 3}, took: 3 * time.Second},
		{name: "and taken when it shows", records: recordsOf(1, true), list: func(n int) (resource.Listing, error) {
			var l resource.Listing
			if n > 1 {
				l.Found = append(l.Found, *thingOf(serverMark(0), true))
			}
			return l, nil
		}, want: counts{records: 1, lists: 2}, took: time.Second},
		{name: "a provider that can't be asked makes its things unknown", records: recordsOf(2, false),
			list: func(int) (resource.Listing, error) {
				return resource.Listing{}, resource.KindError(resource.Unauthorized)
			}, want: counts{records: 2, blind: 1, lists: 1}},
		{name: "one that is out of order for a moment is asked again", records: recordsOf(1, false), list: func(n int) (resource.Listing, error) {
			if n == 1 {
				return resource.Listing{}, resource.KindError(resource.Unavailable)
			}
			return resource.Listing{Found: []resource.Found{*thingOf(serverMark(0), true)}}, nil
		}, want: counts{records: 1, lists: 2}, took: time.Second},
		{name: "what a list could not see is unknown, not gone", records: recordsOf(1, false), list: func(int) (resource.Listing, error) {
			return resource.Listing{Unknown: []resource.Unknown{{Address: first, Reason: "region down"}}}, nil
		}, want: counts{records: 1, unknown: 1, lists: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &asked{list: c.list, read: c.read}
				began := time.Now()
				d := Drivers{Clouds: map[string]Cloud{"cloud": {Driver: a, Schema: resource.Schema{ListLag: 3 * time.Second}}}}
				have, err := Refresh(t.Context(), d, resource.Memory{Stack: stackID, Records: c.records}, RefreshOptions{Clouds: true, Hosts: true})
				if err != nil {
					t.Fatal(err)
				}
				if n := (counts{len(have.Records), len(have.Gone), len(have.Unknown), len(have.Blind), a.lists, a.reads}); n != c.want {
					t.Errorf("have %+v, want %+v", n, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
			})
		})
	}
}

func TestRefreshNothingKeepsWhatIsRemembered(t *testing.T) {
	records := recordsOf(3, false)
	have, err := Refresh(t.Context(), Drivers{}, resource.Memory{Stack: stackID, Records: records}, RefreshOptions{})
	if err != nil || len(have.Records) != 3 || len(have.Unknown) > 0 || len(have.Gone) > 0 {
		t.Errorf("%+v, %v", have, err)
	}
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a := &asked{list: func(int) (resource.Listing, error) { return resource.Listing{}, nil }}
		d := Drivers{Clouds: map[string]Cloud{"cloud": {Driver: a, Schema: resource.Schema{ListLag: time.Hour}}}}
		_, err := Refresh(ctx, d, resource.Memory{Stack: stackID, Records: recordsOf(1, true)}, RefreshOptions{Clouds: true})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// TestOfTwoWithOneMarkOneIsKept holds which: the one in the state, else the one in service, else the
// oldest.
func TestOfTwoWithOneMarkOneIsKept(t *testing.T) {
	old, young := *thingOf(serverMark(0), true), *thingOf(serverMark(0), true)
	old.ID, young.ID = "old", "young"
	young.Created = old.Created.Add(time.Hour)
	members := resource.Found{Mark: resource.Mark{Stack: stackID, Address: resource.MembersOf("www"), Generation: 1}, ID: "lb", Facts: resource.Facts{Members: []resource.Member{{ID: "young"}}}}
	for _, c := range []struct {
		name    string
		records map[resource.Address]resource.Record
		found   []resource.Found
		keeps   string
	}{
		{"in the state", map[resource.Address]resource.Record{serverMark(0).Address: {Found: young}}, []resource.Found{old, young}, "young"},
		{"in service", nil, []resource.Found{old, young, members}, "young"},
		{"the oldest", nil, []resource.Found{young, old}, "old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &asked{list: func(int) (resource.Listing, error) { return resource.Listing{Found: c.found}, nil }}
			have, err := Refresh(t.Context(), Drivers{Clouds: map[string]Cloud{"cloud": {Driver: a}}}, resource.Memory{Stack: stackID, Records: c.records}, RefreshOptions{Clouds: true})
			if err != nil {
				t.Fatal(err)
			}
			if rec := have.Records[serverMark(0).Address]; rec.ID != c.keeps || len(have.Extra) != 1 {
				t.Errorf("kept %s, extra %v", rec.ID, have.Extra)
			}
		})
	}
}
