package sampler

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sample is one line of a server's history. Counters count since the server, or the container, was
// started; amounts are bytes.
type Sample struct {
	At              time.Time
	Load1           float64
	CPUs            int
	Ticks, Idle     int64 // of all CPUs
	MemoryTotal     int64
	MemoryAvailable int64
	SwapTotal       int64
	SwapFree        int64
	DiskTotal       int64
	DiskAvailable   int64
	Inodes          int64
	InodesFree      int64
	OOMKills        int64
	NetIn, NetOut   int64
	Containers      []ContainerSample
}

// ContainerSample is what a line says of a container.
type ContainerSample struct {
	Service               string
	Number                int
	ID                    string // the first twelve digits
	CPU                   int64  // microseconds
	Memory, Limit         int64  // without the file cache; Limit 0: none
	NetIn, NetOut         int64
	BlockRead, BlockWrite int64
	PIDs, OOMKills        int64
}

// begin and end stand around every line, so that a torn one is known.
const begin, end = "s1", "."

// Decode reads lines of a history, in the order of their time. Lines that were torn, when a disk was
// full or the power went, are left out and counted.
func Decode(text string) (samples []Sample, torn int) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if at := strings.LastIndex(line, begin+" "); at > 0 {
			torn++ // what stands before was never ended
			line = line[at:]
		}
		if s, err := decode(line); err == nil {
			samples = append(samples, s)
		} else {
			torn++
		}
	}
	slices.SortStableFunc(samples, func(a, b Sample) int { return a.At.Compare(b.At) })
	return samples, torn
}

var errTorn = errors.New("no sample")

func decode(line string) (Sample, error) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != begin || words[len(words)-1] != end {
		return Sample{}, errTorn
	}
	f := &fields{words: words[1 : len(words)-1]}
	s := Sample{At: time.Unix(f.count(), 0).UTC(), Load1: f.number(), CPUs: int(f.count())}
	for _, to := range []*int64{&s.Ticks, &s.Idle, &s.MemoryTotal, &s.MemoryAvailable, &s.SwapTotal, &s.SwapFree, &s.DiskTotal, &s.DiskAvailable, &s.Inodes, &s.InodesFree, &s.OOMKills, &s.NetIn, &s.NetOut} {
		*to = f.count()
	}
	for len(f.words) > 0 {
		if f.word() != "|" {
			return Sample{}, errTorn
		}
		c := ContainerSample{Service: f.word(), Number: int(f.count()), ID: f.word()}
		for _, to := range []*int64{&c.CPU, &c.Memory, &c.Limit, &c.NetIn, &c.NetOut, &c.BlockRead, &c.BlockWrite, &c.PIDs, &c.OOMKills} {
			*to = f.count()
		}
		s.Containers = append(s.Containers, c)
	}
	return s, f.err
}

// fields takes words one by one; the first that is wrong stays its error.
type fields struct {
	words []string
	err   error
}

func (f *fields) word() string {
	if len(f.words) == 0 {
		f.err = errTorn
		return ""
	}
	first := f.words[0]
	f.words = f.words[1:]
	return first
}

// largest is the largest count that is believed: a hundred times all that a server can have.
const largest = 1 << 60

func (f *fields) count() int64 {
	n, err := strconv.ParseInt(f.word(), 10, 64)
	if err != nil || n < 0 || n > largest {
		f.err = errTorn
		return 0
	}
	return n
}

func (f *fields) number() float64 {
	n, err := strconv.ParseFloat(f.word(), 64)
	if err != nil || !(n >= 0 && n < largest) {
		f.err = errTorn
		return 0
	}
	return n
}
