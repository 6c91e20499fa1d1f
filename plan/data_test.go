package plan

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// keeper is a group of two servers, each with a volume.
func keeper(change func(*Input)) Input {
	now := time.Date(2026, 9, 21, 18, 0, 0, 0, time.UTC)
	in := Input{Memory: resource.Memory{Stack: stackID}, Now: now, Have: Have{Records: map[resource.Address]resource.Record{}}, Groups: []Group{{Name: "blue", Servers: 2, Data: true}}}
	for i := range 2 {
		spec := &resource.ServerSpec{Group: "blue", Size: "small"}
		in.Have.Records[resource.Server("blue", i)] = serverThere(i, spec)
		in.Wants = append(in.Wants, Want{Address: resource.Server("blue", i), Spec: spec, Provider: "cloud"})
		in.Data = append(in.Data, Data{Name: "db", Place: "shop_db", Server: serverMark(i), Backup: now.Add(-3 * time.Hour)})
	}
	change(&in)
	return in
}

func TestDataIsNamed(t *testing.T) {
	large := &resource.ServerSpec{Group: "blue", Size: "large"}
	bigger := func(in *Input) { in.Wants[0].Spec = large }
	destroy := func(in *Input) { in.Destroy = true }
	replace := func(in *Input) { in.Replace = []resource.Address{resource.Server("blue", 1)} }
	fewer := func(in *Input) { in.Wants = in.Wants[:1] }
	name := func(names ...string) func(*Input) { return func(in *Input) { in.DestroyData = names } }
	other := func(in *Input) {
		green := serverMark(0)
		green.Address.Name = "green"
		in.Data = append(in.Data, Data{Name: "db", Place: "shop_db", Server: green})
	}
	dead := func(in *Input) {
		rec := in.Have.Records[resource.Server("blue", 0)]
		rec.Problem = "errored"
		in.Have.Records[resource.Server("blue", 0)] = rec
	}
	existing := func(in *Input) {
		for a, rec := range in.Have.Records {
			rec.Facts.Access = &resource.Access{Address: "198.51.100.1"}
			in.Have.Records[a] = rec
		}
	}
	for _, test := range []struct {
		name    string
		changes []func(*Input)
		refused string // in the error and its hint; empty: it is planned
		lost    int    // data that the plan destroys
		held    string // in a deferral
	}{
		{"nothing", nil, "", 0, ""},
		{"destroy", []func(*Input){destroy}, "db: volume shop_db on group.blue.server[0]; newest backup 3h old", 2, ""},
		{"destroy, flags", []func(*Input){destroy}, "add --destroy-data db", 2, ""},
		{"destroy, named", []func(*Input){destroy, name("db")}, "", 2, ""},
		{"destroy, named with its group", []func(*Input){destroy, name("blue.db")}, "", 2, ""},
		{"destroy, another name", []func(*Input){destroy, name("uploads")}, "add --destroy-data db", 2, ""},
		{"destroy, two groups have it", []func(*Input){destroy, other, name("db")}, "add --destroy-data blue.db", 2, ""},
		{"a new size", []func(*Input){bigger}, "", 0, "it holds data: if that may be lost, add --destroy-data db"},
		{"a new size, named", []func(*Input){bigger, name("db")}, "", 1, ""},
		{"replace", []func(*Input){replace}, "group.blue.server[1]", 1, ""},
		{"replace, named", []func(*Input){replace, name("db")}, "", 1, ""},
		{"fewer servers", []func(*Input){fewer}, "", 0, "it is not wanted any more and holds data: if that may be lost, add --destroy-data db"},
		{"fewer servers, named", []func(*Input){fewer, name("db")}, "", 1, ""},
		{"a dead server", []func(*Input){dead}, "", 0, "it holds data"},
		{"destroy, servers that existed before", []func(*Input){destroy, existing}, "", 0, ""},
		{"fewer servers, that existed before", []func(*Input){fewer, existing}, "", 0, ""},
		{"a dead server, named", []func(*Input){dead, name("db")}, "", 1, ""},
	} {
		in := keeper(func(in *Input) {
			for _, change := range test.changes {
				change(in)
			}
		})
		p, err := Make(in)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		err = Spare(p, in.Data)
		var refused *DataError
		if errors.As(err, &refused) != (test.refused != "") {
			t.Errorf("%s: %v", test.name, err)
		} else if err != nil && !strings.Contains(err.Error()+"\n"+resource.HintOf(err), test.refused) {
			t.Errorf("%s: %v, %s; want %q", test.name, err, resource.HintOf(err), test.refused)
		}
		if len(p.Data) != test.lost {
			t.Errorf("%s: %d are destroyed, want %d: %+v", test.name, len(p.Data), test.lost, p.Data)
		}
		held := ""
		for _, d := range p.Deferred {
			held += d.Reason + "\n"
		}
		if (held == "") != (test.held == "") || !strings.Contains(held, test.held) {
			t.Errorf("%s: deferred %q, want %q", test.name, held, test.held)
		}
		for _, step := range p.Steps {
			if step.Tag != "" && !strings.Contains(test.name, "existed before") {
				t.Errorf("%s: %s deletes by tag what holds data", test.name, step.ID)
			}
		}
	}
}

func TestDataOfAServerThatIsGoneIsMourned(t *testing.T) {
	in := keeper(func(in *Input) {
		a := resource.Server("blue", 0)
		in.Have.Gone = map[resource.Address]resource.Record{a: in.Have.Records[a]}
		delete(in.Have.Records, a)
	})
	p, err := Make(in)
	if err != nil || Spare(p, in.Data) != nil || len(p.Steps) != 1 || p.Steps[0].Do != DoCreate {
		t.Fatalf("%v, steps %v", err, ids(p))
	}
	if notes := strings.Join(p.Notes, "\n"); !strings.Contains(notes, "group.blue.server[0] is gone, and its data with it: db: volume shop_db on group.blue.server[0]; newest backup 3h old") {
		t.Errorf("notes %q", notes)
	}
}

func TestADuplicateHoldsNoData(t *testing.T) {
	in := keeper(func(in *Input) {
		twin := in.Have.Records[resource.Server("blue", 0)]
		twin.ID = "twin"
		in.Have.Extra = append(in.Have.Extra, twin)
	})
	p, err := Make(in)
	if err != nil || Spare(p, in.Data) != nil || len(p.Steps) != 1 || p.Steps[0].Do != DoDelete {
		t.Fatalf("%v, %v, steps %v", err, Spare(p, in.Data), ids(p))
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59 * time.Second: "59s", 3 * time.Minute: "3m", 47 * time.Hour: "47h", 72 * time.Hour: "3 days"} {
		if have := Age(d); have != want {
			t.Errorf("%s: %s, want %s", d, have, want)
		}
	}
}
