package sampler

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Range is the least, the average and the most of something.
type Range struct {
	Min float64 `json:"min"`
	Avg float64 `json:"avg"`
	Max float64 `json:"max"`
}

// Point is the average over one part of the time.
type Point struct {
	At     time.Time `json:"at"` // when the part begins
	CPU    float64   `json:"cpu_percent"`
	Memory float64   `json:"memory"`
}

// Series is what the server, or the containers of one number of a service, have used.
type Series struct {
	Service    string  `json:"service,omitempty"` // empty: the server
	Number     int     `json:"number,omitempty"`
	CPU        Range   `json:"cpu_percent"` // 100 is one CPU
	Memory     Range   `json:"memory"`      // bytes, without the file cache
	Limit      int64   `json:"memory_limit,omitempty"`
	Load       *Range  `json:"load1,omitempty"` // of the server, as those below
	Disk       *Range  `json:"disk_used,omitempty"`
	DiskTotal  int64   `json:"disk_total,omitempty"`
	Swap       *Range  `json:"swap_used,omitempty"`
	NetIn      int64   `json:"net_in"` // bytes in that time
	NetOut     int64   `json:"net_out"`
	BlockRead  int64   `json:"block_read,omitempty"`
	BlockWrite int64   `json:"block_write,omitempty"`
	OOMKills   int64   `json:"oom_kills"`
	Points     []Point `json:"points"` // those parts of the time from which there are samples
}

// History is what a server and its containers have used in some time.
type History struct {
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Samples int       `json:"samples"`
	Torn    int       `json:"torn,omitempty"` // lines that could not be read
	Series  []Series  `json:"series"`         // the server's first
}

// Sum makes a history of samples, with so many points in each series.
func Sum(samples []Sample, from, until time.Time, points int) History {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.At.Before(from) || s.At.After(until) })
	h := History{From: from, Until: until, Samples: len(samples), Series: []Series{}}
	if len(samples) == 0 {
		return h
	}
	server := newTally(h, points)
	server.Load, server.Disk, server.Swap = &Range{}, &Range{}, &Range{}
	loads, disks, swaps := &mean{}, &mean{}, &mean{}
	containers := map[string]*tally{}
	last := map[string]ContainerSample{}
	at := map[string]time.Time{}
	for i, s := range samples {
		loads.add(s.Load1)
		disks.add(float64(s.DiskTotal - s.DiskAvailable))
		swaps.add(float64(s.SwapTotal - s.SwapFree))
		server.memory(s.At, float64(s.MemoryTotal-s.MemoryAvailable))
		server.Limit, server.DiskTotal = s.MemoryTotal, s.DiskTotal
		if i > 0 {
			server.since(samples[i-1], s)
		}
		for _, c := range s.Containers {
			key := fmt.Sprintf("%s %06d", c.Service, c.Number)
			t := containers[key]
			if t == nil {
				t = newTally(h, points)
				t.Service, t.Number = c.Service, c.Number
				containers[key] = t
			}
			t.memory(s.At, float64(c.Memory))
			t.Limit = c.Limit
			if before, known := last[c.ID]; known {
				t.sinceOf(before, c, at[c.ID], s.At)
			}
			last[c.ID], at[c.ID] = c, s.At
		}
	}
	*server.Load, *server.Disk, *server.Swap = loads.rng(), disks.rng(), swaps.rng()
	h.Series = append(h.Series, server.done())
	var keys []string
	for key := range containers {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		h.Series = append(h.Series, containers[key].done())
	}
	return h
}

// tally is the work on one series.
type tally struct {
	Series
	from    time.Time
	part    time.Duration
	cpu     mean
	used    mean
	cpuOf   []mean // by part
	usedOf  []mean
	covered []bool
}

func newTally(h History, points int) *tally {
	part := max(h.Until.Sub(h.From)/time.Duration(points), time.Second)
	return &tally{from: h.From, part: part, cpuOf: make([]mean, points), usedOf: make([]mean, points), covered: make([]bool, points)}
}

func (t *tally) index(at time.Time) int {
	return min(max(int(at.Sub(t.from)/t.part), 0), len(t.cpuOf)-1)
}

func (t *tally) memory(at time.Time, bytes float64) {
	t.used.add(bytes)
	t.usedOf[t.index(at)].add(bytes)
	t.covered[t.index(at)] = true
}

func (t *tally) percent(at time.Time, percent float64) {
	t.cpu.add(percent)
	t.cpuOf[t.index(at)].add(percent)
}

// since enters what the server did between two samples. After a start its counters begin anew.
func (t *tally) since(a, b Sample) {
	if ticks := b.Ticks - a.Ticks; ticks > 0 {
		busy := max(0, ticks-max(0, b.Idle-a.Idle))
		t.percent(b.At, 100*float64(b.CPUs)*float64(busy)/float64(ticks))
	}
	t.NetIn, t.NetOut = t.NetIn+more(a.NetIn, b.NetIn), t.NetOut+more(a.NetOut, b.NetOut)
	t.OOMKills += more(a.OOMKills, b.OOMKills)
}

// sinceOf enters what a container did between two samples.
func (t *tally) sinceOf(a, b ContainerSample, then, now time.Time) {
	if passed := now.Sub(then); passed > 0 && b.CPU >= a.CPU {
		t.percent(now, 100*float64(b.CPU-a.CPU)/float64(passed.Microseconds()))
	}
	t.NetIn, t.NetOut = t.NetIn+more(a.NetIn, b.NetIn), t.NetOut+more(a.NetOut, b.NetOut)
	t.BlockRead, t.BlockWrite = t.BlockRead+more(a.BlockRead, b.BlockRead), t.BlockWrite+more(a.BlockWrite, b.BlockWrite)
	t.OOMKills += more(a.OOMKills, b.OOMKills)
}

// more is by how much a counter grew; one that fell was begun anew.
func more(a, b int64) int64 {
	if b < a {
		return b
	}
	return b - a
}

func (t *tally) done() Series {
	t.CPU, t.Memory, t.Points = t.cpu.rng(), t.used.rng(), []Point{}
	for i, covered := range t.covered {
		if covered {
			t.Points = append(t.Points, Point{At: t.from.Add(time.Duration(i) * t.part), CPU: t.cpuOf[i].rng().Avg, Memory: t.usedOf[i].rng().Avg})
		}
	}
	return t.Series
}

type mean struct {
	n             int
	sum, min, max float64
}

func (m *mean) add(x float64) {
	if m.n == 0 || x < m.min {
		m.min = x
	}
	if m.n == 0 || x > m.max {
		m.max = x
	}
	m.n++
	m.sum += x
}

func (m *mean) rng() Range {
	if m.n == 0 {
		return Range{}
	}
	return Range{Min: m.min, Avg: m.sum / float64(m.n), Max: m.max}
}

// Spark draws points as a line of blocks; a part without samples is a gap.
func (h History) Spark(points []Point, value func(Point) float64, width int) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	line := []rune(strings.Repeat(" ", width))
	most := 0.0
	for _, p := range points {
		most = max(most, value(p))
	}
	part := max(h.Until.Sub(h.From)/time.Duration(width), time.Second)
	for _, p := range points {
		at := min(max(int(p.At.Sub(h.From)/part), 0), width-1)
		level := 0
		if most > 0 {
			level = int(value(p) / most * float64(len(blocks)-1))
		}
		line[at] = blocks[level]
	}
	return string(line)
}
