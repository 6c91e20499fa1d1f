package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a snapshot with every field set.
func sample(serial Serial) *Snapshot {
	return &Snapshot{
		Format: Format, Serial: serial, Stack: "shop-x7", Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Actor: "ann@laptop", Command: "apply", PlanDigest: "sha256:00", Session: "S",
		Previous: &Link{serial - 1, strings.Repeat("0", hashLen)}, PreviousClosing: &Link{1, strings.Repeat("f", hashLen)},
		Closing: true, Check: "c", Body: json.RawMessage(`{"a":[1,"<ü>"]}`), Sealed: "s",
	}
}

func encoded(t testing.TB, s *Snapshot) []byte {
	t.Helper()
	data, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSnapshotComesBackWhole(t *testing.T) {
	s := sample(12)
	data := encoded(t, s)
	have, err := Decode(12, data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, have), data) || !same(have.Link(), s.Link()) || have.Command != "apply" || have.Sealed != "s" {
		t.Errorf("have %+v", have)
	}
	// The form is a promise to every later version.
	zeros, fs := strings.Repeat("0", hashLen), strings.Repeat("f", hashLen)
	want := `{"sha256":"` + s.hash + `","snapshot":{"format":1,"serial":12,"stack":"shop-x7","time":"2026-01-02T03:04:05.000000006Z",` +
		`"actor":"ann@laptop","command":"apply","plan_digest":"sha256:00","session":"S",` +
		`"previous":{"serial":11,"sha256":"` + zeros + `"},"previous_closing":{"serial":1,"sha256":"` + fs + `"},"closing":true,` +
		`"check":"c","body":{"a":[1,"\u003cü\u003e"]},"sealed":"s"}}` + "\n"
	if string(data) != want {
		t.Errorf("have %s\nwant %s", data, want)
	}
}

func TestDamageIsDetectedAndNamed(t *testing.T) {
	data := encoded(t, sample(12))
	tests := map[string]struct {
		data   []byte
		target error
		text   string
	}{
		"empty":        {nil, ErrDamaged, "torn"},
		"zeros":        {make([]byte, 4096), ErrDamaged, "torn"},
		"cut":          {data[:len(data)-1], ErrDamaged, "torn"},
		"longer":       {append(bytes.Clone(data), '\n'), ErrDamaged, "torn"},
		"body altered": {bytes.Replace(data, []byte(`[1,`), []byte(`[2,`), 1), ErrDamaged, "does not match its hash"},
		"a copy":       {encoded(t, sample(11)), ErrDamaged, "copy of snapshot 000011"},
		"newer":        {encoded(t, func() *Snapshot { s := sample(12); s.Format = 2; return s }()), ErrNewer, "format 2"},
		"newer frame":  {[]byte(`{"format":3,"something":"else"}`), ErrNewer, "format 3"},
		"no format":    {encoded(t, func() *Snapshot { s := sample(12); s.Format = 0; return s }()), ErrDamaged, "no known format"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(12, tt.data)
			want(t, err, tt.target)
			if !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "snapshot 000012") {
				t.Errorf("have %q", err)
			}
		})
	}
}

// FuzzDecode reads anything: it never panics, and what it takes is exactly what
// it would write.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(encoded(f, sample(12)))
	f.Add([]byte(`{"sha256":"","snapshot":{}}`))
	f.Add([]byte(`{"format":9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(12, data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if s.Serial != 12 || s.Format != Format {
			t.Fatalf("took %+v", s)
		}
	})
}

// FuzzAlter changes bytes of a good snapshot: that is always found out.
func FuzzAlter(f *testing.F) {
	data := encoded(f, sample(12))
	f.Add(uint16(0), byte(1), uint16(0))
	f.Add(uint16(11), byte('a'^'A'), uint16(0))
	f.Add(uint16(len(data)-1), byte(1), uint16(0))
	f.Add(uint16(0), byte(0), uint16(1))
	f.Fuzz(func(t *testing.T, at uint16, flip byte, cut uint16) {
		altered := bytes.Clone(data)
		altered[int(at)%len(altered)] ^= flip
		altered = altered[:len(altered)-int(cut)%len(altered)]
		_, err := Decode(12, altered)
		switch {
		case bytes.Equal(altered, data):
			want(t, err, nil)
		case !errors.Is(err, ErrDamaged):
			t.Fatalf("altered, the error is %v", err)
		}
	})
}

func TestEveryByteCounts(t *testing.T) {
	data := encoded(t, sample(12))
	for at := range data {
		altered := bytes.Clone(data)
		altered[at] ^= 0x20 // upper and lower case as well
		if _, err := Decode(12, altered); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d altered, the error is %v", at, err)
		}
		if _, err := Decode(12, data[:at]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d, the error is %v", at, err)
		}
	}
}

// chain fills a store with commands of three commits each.
func chain(t *testing.T, commands int) Store {
	t.Helper()
	store := Memory()
	for n := range commands {
		s := start(t, store, Options{Command: "apply"})
		want(t, s.Commit(t.Context(), number(10*n)), nil)
		want(t, s.Commit(t.Context(), number(10*n+1)), nil)
		want(t, s.CommitClosing(t.Context(), number(10*n+2)), nil)
		want(t, s.Close(t.Context()), nil)
	}
	return store
}

func TestHistoryTellsWhatDoesNotHold(t *testing.T) {
	set := func(serial Serial, data []byte) func(*memory) {
		return func(m *memory) { m.snapshots[serial] = data }
	}
	forge := func(serial Serial, change func(*Snapshot)) func(*memory) {
		return func(m *memory) {
			s, err := Decode(serial, m.snapshots[serial])
			want(t, err, nil)
			change(s)
			m.snapshots[serial] = encoded(t, s)
		}
	}
	without := func(serials ...Serial) func(*memory) {
		return func(m *memory) {
			for _, serial := range serials {
				delete(m.snapshots, serial)
			}
		}
	}
	tests := map[string]struct {
		harm func(*memory)
		find []string // what is found; the store has 000001 to 000009
		head Serial   // 0: no head at all
	}{
		"none":                     {func(*memory) {}, nil, 9},
		"torn head":                {set(9, []byte(`{"sha256`)), []string{"snapshot 000009 is damaged"}, 8},
		"torn heads":               {func(m *memory) { set(9, nil)(m); set(8, nil)(m) }, []string{"000008 is damaged", "000009 is damaged"}, 7},
		"torn inside":              {set(5, []byte("x")), []string{"snapshot 000005 is damaged"}, 9},
		"forged inside":            {forge(5, func(s *Snapshot) { s.Actor = "mallory" }), []string{"000006 breaks the chain: it follows another 000005"}, 9},
		"taken out":                {without(4), []string{"000005 breaks the chain: it follows 000004, which is missing"}, 9},
		"pruning broken off":       {without(8, 7, 5), nil, 9},
		"pruned":                   {without(1, 2, 4, 5, 7, 8), nil, 9},
		"pruned in part":           {without(1, 7, 8), []string{"000002 breaks the chain: it follows 000001"}, 9},
		"closing one taken out":    {without(4, 5, 6), []string{"000007 breaks the chain: it follows 000006"}, 9},
		"closing one forged":       {func(m *memory) { without(7, 8)(m); forge(6, func(s *Snapshot) { s.Actor = "x" })(m) }, []string{"000009 breaks the chain"}, 9},
		"begins twice":             {forge(6, func(s *Snapshot) { s.Previous = nil; s.Closing = false }), []string{"000006 breaks the chain: it claims to be the first", "000007 breaks"}, 9},
		"a copy under the next":    {func(m *memory) { m.snapshots[10] = m.snapshots[9] }, []string{"000010 is damaged: it is a copy of snapshot 000009"}, 9},
		"everything torn":          {func(m *memory) { clear(m.snapshots); set(1, nil)(m) }, []string{"000001 is damaged"}, 0},
		"newer format at the head": {forge(9, func(s *Snapshot) { s.Format = 2 }), []string{"format 2"}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := chain(t, 3)
			tt.harm(store.(*memory))
			history, err := ReadHistory(t.Context(), store)
			found := history.Findings
			if err != nil {
				found = append(found, err)
			}
			texts := make([]string, len(found))
			for i, finding := range found {
				texts[i] = finding.Error()
			}
			if !slices.EqualFunc(texts, tt.find, strings.Contains) {
				t.Errorf("found %q, want %q", texts, tt.find)
			}
			head, err := ReadHead(t.Context(), store)
			if tt.head == 0 {
				if err == nil {
					t.Errorf("head is %v", head.Snapshot)
				}
				return
			}
			if err != nil || head.Snapshot.Serial != tt.head {
				t.Fatalf("head is %v, %v", head.Snapshot, err)
			}
			if passed := len(head.Damaged); passed != int(head.top-tt.head) {
				t.Errorf("%d newer ones are named damaged", passed)
			}
		})
	}
}

func TestWorkGoesOnAfterATornHead(t *testing.T) {
	store := chain(t, 2)
	store.(*memory).snapshots[6] = []byte("torn")
	s := start(t, store, Options{Command: "apply"})
	if head := s.Head(); head.Snapshot.Serial != 5 || len(head.Damaged) != 1 {
		t.Fatalf("head is %+v", head)
	}
	want(t, s.CommitClosing(t.Context(), number(7)), nil)
	want(t, s.Close(t.Context()), nil)
	history, err := ReadHistory(t.Context(), store)
	if err != nil || len(history.Findings) != 1 || len(history.Snapshots) != 6 {
		t.Fatalf("have %+v, %v", history, err)
	}
	last := history.Snapshots[5]
	if last.Serial != 7 || last.Previous.Serial != 5 || last.PreviousClosing.Serial != 3 {
		t.Errorf("the new one is %+v", last)
	}
}

// TestPruningAtEveryKindOfHistory: whatever is wrong with a history, pruning
// makes it no worse, and it reads no more than is new.
func TestPruningAtEveryKindOfHistory(t *testing.T) {
	tests := map[string]struct {
		harm    func(*memory)
		removed int
	}{
		"none":                {func(*memory) {}, 6},
		"torn inside":         {func(m *memory) { m.snapshots[5] = nil }, 5},
		"torn closing one":    {func(m *memory) { m.snapshots[6] = nil }, 2},
		"torn first closing":  {func(m *memory) { m.snapshots[3] = nil }, 2},
		"pruning broken off":  {func(m *memory) { delete(m.snapshots, 8); delete(m.snapshots, 7) }, 4},
		"torn head":           {func(m *memory) { m.snapshots[9] = nil }, 4},
		"nothing but the end": {func(m *memory) { clear(m.snapshots) }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := chain(t, 3)
			tt.harm(store.(*memory))
			before, err := ReadHistory(t.Context(), store)
			want(t, err, nil)
			s := start(t, store, Options{Command: "state prune"})
			removed, err := s.Prune(t.Context())
			if err != nil || removed != tt.removed {
				t.Errorf("removed %d, %v; want %d", removed, err, tt.removed)
			}
			after, err := ReadHistory(t.Context(), store)
			if err != nil || len(after.Findings) > len(before.Findings) {
				t.Errorf("found before %v, after %v, %v", before.Findings, after.Findings, err)
			}
			want(t, s.CommitClosing(t.Context(), number(1)), nil)
			want(t, s.Close(t.Context()), nil)
		})
	}
}

// countingReads counts the snapshots that are read.
type countingReads struct {
	Store
	reads int
}

func (c *countingReads) Get(ctx context.Context, serial Serial) ([]byte, error) {
	c.reads++
	return c.Store.Get(ctx, serial)
}

func TestPruningALongHistoryReadsLittle(t *testing.T) {
	store := &countingReads{Store: chain(t, 50)}
	s := start(t, store, Options{Command: "apply"})
	removed, err := s.Prune(t.Context())
	if err != nil || removed != 100 {
		t.Fatalf("removed %d, %v", removed, err)
	}
	store.reads = 0
	want(t, s.Commit(t.Context(), number(1)), nil)
	want(t, s.CommitClosing(t.Context(), number(2)), nil)
	removed, err = s.Prune(t.Context())
	if err != nil || removed != 1 || store.reads > 12 {
		t.Errorf("removed %d with %d reads, %v", removed, store.reads, err)
	}
}
