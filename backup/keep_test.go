package backup_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/cloudship/cloudship/backup"
)

// made is a backup that was made then; a star says that it is proven, OF: its block.
func made(t *testing.T, text string) backup.Backup {
	t.Helper()
	var b backup.Backup
	b.Of = "db"
	if of, rest, ok := strings.Cut(text, "@"); ok {
		b.Of, text = of, rest
	}
	text, proven := strings.CutSuffix(text, "*")
	if proven {
		b.Proof = &backup.Proof{}
	}
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	b.Created, b.Name = at, text
	return b
}

func TestChoose(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		keep    backup.Keep
		zone    *time.Location
		backups []string
		want    []string // "name: reasons", newest first
	}{
		"nothing said keeps all": {backup.Keep{}, nil, []string{"2026-09-21 18:00", "2020-01-01 00:00"},
			[]string{"2026-09-21 18:00: newest, all", "2020-01-01 00:00: all"}},
		"negative numbers are none": {backup.Keep{Last: -1, Daily: -3}, nil, []string{"2026-09-21 18:00", "2020-01-01 00:00"},
			[]string{"2026-09-21 18:00: newest, all", "2020-01-01 00:00: all"}},
		"no backups": {backup.Keep{Last: 3}, nil, nil, nil},
		"the last": {backup.Keep{Last: 2}, nil, []string{"2026-09-19 18:00", "2026-09-21 18:00", "2026-09-20 18:00"},
			[]string{"2026-09-21 18:00: newest, last", "2026-09-20 18:00: last"}},
		"the newest stays without being asked for": {backup.Keep{Monthly: 0, Weekly: 0, Daily: 0, Last: 1}, nil,
			[]string{"2026-09-21 18:00", "2026-09-21 17:00"}, []string{"2026-09-21 18:00: newest, last"}},
		"the newest proven stays": {backup.Keep{Last: 1}, nil,
			[]string{"2026-09-21 18:00", "2026-09-20 18:00", "2026-08-01 00:00*", "2026-07-01 00:00*"},
			[]string{"2026-09-21 18:00: newest, last", "2026-08-01 00:00: newest proven"}},
		"the newest of each day, days without any are passed over": {backup.Keep{Daily: 3}, nil,
			[]string{"2026-09-21 18:00", "2026-09-21 00:00", "2026-09-19 23:59", "2026-09-19 00:01", "2026-09-10 12:00", "2026-09-09 12:00"},
			[]string{"2026-09-21 18:00: newest, daily 2026-09-21", "2026-09-19 23:59: daily 2026-09-19", "2026-09-10 12:00: daily 2026-09-10"}},
		"a week begins on Monday, and belongs to the year of its Thursday": {backup.Keep{Weekly: 3}, nil,
			[]string{"2027-01-04 00:00", "2027-01-03 23:59", "2026-12-28 00:00", "2026-12-27 23:59", "2026-12-20 12:00"},
			[]string{"2027-01-04 00:00: newest, weekly 2027-W01", "2027-01-03 23:59: weekly 2026-W53", "2026-12-27 23:59: weekly 2026-W52"}},
		"months, over the end of February": {backup.Keep{Monthly: 3}, nil,
			[]string{"2028-03-01 00:00", "2028-02-29 23:59", "2028-02-01 00:00", "2028-01-31 23:59", "2027-12-31 23:59"},
			[]string{"2028-03-01 00:00: newest, monthly 2028-03", "2028-02-29 23:59: monthly 2028-02", "2028-01-31 23:59: monthly 2028-01"}},
		"one backup may stay for several reasons": {backup.Keep{Last: 1, Daily: 2, Weekly: 1, Monthly: 1}, nil,
			[]string{"2026-09-21 18:00*", "2026-09-20 18:00"},
			[]string{"2026-09-21 18:00: newest, newest proven, last, daily 2026-09-21, weekly 2026-W39, monthly 2026-09", "2026-09-20 18:00: daily 2026-09-20"}},
		"a day is that of the zone": {backup.Keep{Daily: 2}, berlin,
			[]string{"2026-09-21 22:30", "2026-09-21 21:30", "2026-09-20 22:30", "2026-09-20 21:30"}, // 00:30, 23:30, 00:30, 23:30
			[]string{"2026-09-21 22:30: newest, daily 2026-09-22", "2026-09-21 21:30: daily 2026-09-21"}},
		"the day of 25 hours is one day": {backup.Keep{Daily: 2}, berlin,
			[]string{"2026-10-25 22:59", "2026-10-25 01:30", "2026-10-25 00:30", "2026-10-24 22:00", "2026-10-24 21:59"},
			[]string{"2026-10-25 22:59: newest, daily 2026-10-25", "2026-10-24 21:59: daily 2026-10-24"}},
		"the day of 23 hours is one day": {backup.Keep{Daily: 3}, berlin,
			[]string{"2026-03-29 22:00", "2026-03-29 21:59", "2026-03-28 23:00", "2026-03-28 22:59"},
			[]string{"2026-03-29 22:00: newest, daily 2026-03-30", "2026-03-29 21:59: daily 2026-03-29", "2026-03-28 22:59: daily 2026-03-28"}},
		"what is dated in the future counts for nothing": {backup.Keep{Last: 1}, nil,
			[]string{"2036-01-01 00:00*", "2026-09-21 18:00", "2026-09-20 18:00"},
			[]string{"2036-01-01 00:00: dated in the future", "2026-09-21 18:00: newest, last"}},
		"blocks are apart": {backup.Keep{Last: 1}, nil,
			[]string{"db@2026-09-21 18:00", "files@2026-09-01 18:00", "db@2026-09-20 18:00", "files@2026-08-01 18:00"},
			[]string{"2026-09-21 18:00: newest, last", "2026-09-01 18:00: newest, last"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			if tt.zone != nil {
				now = now.In(tt.zone)
			}
			var backups []backup.Backup
			for _, text := range tt.backups {
				backups = append(backups, made(t, text))
			}
			keep, drop := tt.keep.Choose(backups, now)
			var have []string
			for _, k := range keep {
				have = append(have, k.Name+": "+strings.Join(k.Reasons, ", "))
			}
			if !slices.Equal(have, tt.want) {
				t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(tt.want, "\n"))
			}
			if len(keep)+len(drop) != len(backups) {
				t.Errorf("%d kept and %d dropped of %d", len(keep), len(drop), len(backups))
			}
		})
	}
}

// TestChooseKeepsItsPromises takes random backups and rules.
func TestChooseKeepsItsPromises(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, time.FixedZone("west", -11*3600), time.FixedZone("east", 14*3600)}
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 4))
		now := night.Add(time.Duration(random.IntN(400*24)) * time.Hour).In(zones[random.IntN(len(zones))])
		var backups []backup.Backup
		for i := range random.IntN(40) {
			b := backup.Backup{Record: backup.Record{Name: fmt.Sprint("n", i), Of: []string{"db", "files"}[random.IntN(2)]}}
			b.Created = now.Add(-time.Duration(random.IntN(100*24*60)-60) * time.Minute)
			if random.IntN(5) == 0 {
				b.Proof = &backup.Proof{}
			}
			backups = append(backups, b)
		}
		k := backup.Keep{Last: random.IntN(4), Daily: random.IntN(8), Weekly: random.IntN(5), Monthly: random.IntN(4)}
		promises(t, seed, k, backups, now)
	}
}

func promises(t *testing.T, seed uint64, k backup.Keep, backups []backup.Backup, now time.Time) {
	t.Helper()
	before := slices.Clone(backups)
	keep, drop := k.Choose(backups, now)
	if !slices.EqualFunc(before, backups, func(a, b backup.Backup) bool { return a.String() == b.String() }) {
		t.Fatalf("seed %d: the list was changed", seed)
	}
	if len(keep)+len(drop) != len(backups) {
		t.Fatalf("seed %d: %d kept and %d dropped of %d", seed, len(keep), len(drop), len(backups))
	}
	kept := map[string]bool{}
	var again []backup.Backup
	for _, b := range keep {
		if len(b.Reasons) == 0 || kept[b.Name] {
			t.Fatalf("seed %d: %s is kept without a reason, or twice", seed, b.Name)
		}
		kept[b.Name] = true
		again = append(again, b.Backup)
	}
	for _, r := range drop {
		if kept[r.Name] || k.All() || r.Created.After(now) {
			t.Fatalf("seed %d: %s was dropped", seed, r.Name)
		}
		newer, provenNewer, last := 0, false, 0
		for _, b := range backups {
			if b.Of != r.Of || b.Created.After(now) {
				continue
			}
			if b.Created.After(r.Created) || b.Created.Equal(r.Created) && b.Name > r.Name {
				newer++
				provenNewer = provenNewer || b.Proof != nil
			}
			if b.Name == r.Name && b.Proof != nil {
				last++
			}
		}
		if newer == 0 || newer < k.Last || last > 0 && !provenNewer {
			t.Fatalf("seed %d: %s was dropped, %d are newer", seed, r.Name, newer)
		}
	}
	// What stays, stays: a second prune at the same moment drops nothing.
	if _, more := k.Choose(again, now); len(more) > 0 {
		t.Fatalf("seed %d: a second prune drops %v", seed, more)
	}
}
