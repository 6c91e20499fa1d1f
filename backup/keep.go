package backup

import (
	"fmt"
	"slices"
	"time"
)

// Keep says which backups of a block stay: the last ones, and the newest of each of the last days,
// weeks (ISO, from Monday) and months that have any. The zero value keeps all.
type Keep struct {
	Last, Daily, Weekly, Monthly int
}

// All tells whether everything is kept.
func (k Keep) All() bool { return k.Last <= 0 && k.Daily <= 0 && k.Weekly <= 0 && k.Monthly <= 0 }

// Kept is a backup that stays, and why: "newest", "newest proven", "last", "daily 2026-09-21",
// "weekly 2026-W39", "monthly 2026-09", "all", "dated in the future".
type Kept struct {
	Backup
	Reasons []string
}

// Choose says what stays and what goes, both with the newest first. Of each block the newest always
// stays, and the newest that is proven. Days are those of now's time zone. A backup that is dated after
// now stays, and counts for nothing: its writer's clock was wrong.
func (k Keep) Choose(backups []Backup, now time.Time) (keep []Kept, drop []Record) {
	sorted := slices.Clone(backups)
	slices.SortStableFunc(sorted, func(a, b Backup) int { return newest(a.Record, b.Record) })
	reasons := make([][]string, len(sorted))
	blocks := map[string][]int{}
	for i, b := range sorted {
		if b.Created.After(now) {
			reasons[i] = []string{"dated in the future"}
			continue
		}
		blocks[b.Of] = append(blocks[b.Of], i)
	}
	for _, block := range blocks {
		k.choose(sorted, block, reasons, now.Location())
	}
	for i, b := range sorted {
		if len(reasons[i]) > 0 {
			keep = append(keep, Kept{b, reasons[i]})
		} else {
			drop = append(drop, b.Record)
		}
	}
	return keep, drop
}

// choose gives reasons to the backups of one block, whose places in sorted are block.
func (k Keep) choose(sorted []Backup, block []int, reasons [][]string, zone *time.Location) {
	give := func(i int, reason string) { reasons[i] = append(reasons[i], reason) }
	give(block[0], "newest")
	for _, i := range block {
		if sorted[i].Proof != nil {
			give(i, "newest proven")
			break
		}
	}
	for n, i := range block {
		switch {
		case k.All():
			give(i, "all")
		case n < k.Last:
			give(i, "last")
		}
	}
	for _, rule := range []struct {
		count int
		name  string
		span  func(time.Time) string
	}{
		{k.Daily, "daily", day}, {k.Weekly, "weekly", week}, {k.Monthly, "monthly", month},
	} {
		last := ""
		for _, i := range block {
			span := rule.span(sorted[i].Created.In(zone))
			if span == last {
				continue
			}
			if rule.count--; rule.count < 0 {
				break
			}
			last = span
			give(i, rule.name+" "+span)
		}
	}
}

func day(t time.Time) string { return t.Format("2006-01-02") }

func week(t time.Time) string {
	year, week := t.ISOWeek()
	return fmt.Sprintf("%d-W%02d", year, week)
}

func month(t time.Time) string { return t.Format("2006-01") }
