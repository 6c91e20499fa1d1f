package sampler

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	plainLine = "s1 1795842000 0.50 2 1000 400 2000 500 100 40 5000 4000 90 30 3 10 20 ."
	appLine   = "s1 1795842060 0.70 2 1200 500 2000 400 100 40 5000 4000 90 30 4 30 20 | app 1 aaaaaaaaaaaa 5000000 300 0 1 2 3 4 5 0 | db 1 bbbbbbbbbbbb 1 2 3 4 5 6 7 8 9 ."
)

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		text          string
		samples, torn int
	}{
		{"", 0, 0},
		{plainLine + "\n" + appLine + "\n", 2, 0},
		{appLine + "\n" + plainLine, 2, 0},
		{plainLine[:40] + appLine + "\n", 1, 1}, // the power went, and came again
		{plainLine + "\n" + appLine[:100], 1, 1},
		{plainLine + "\n\x00\x00\x00\x00\n" + appLine, 2, 1},
		{"s2 1 2 3 .\n", 0, 1},
		{strings.Replace(plainLine, "1000", "-1000", 1), 0, 1},
		{strings.Replace(plainLine, "0.50", "NaN", 1), 0, 1},
		{strings.Replace(plainLine, "1000", "99999999999999999999", 1), 0, 1},
		{strings.Replace(appLine, " | db", " db", 1), 0, 1},
		{strings.Replace(appLine, " 9 .", " .", 1), 0, 1},
	} {
		samples, torn := Decode(test.text)
		if len(samples) != test.samples || torn != test.torn {
			t.Errorf("%q: %d samples, %d torn; want %d, %d", test.text, len(samples), torn, test.samples, test.torn)
		}
		for i := 1; i < len(samples); i++ {
			if samples[i].At.Before(samples[i-1].At) {
				t.Errorf("%q: not in the order of time", test.text)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(plainLine + "\n" + appLine)
	f.Add(plainLine[:30] + appLine[:90])
	f.Add("s1 s1 . | \x00\n")
	f.Fuzz(func(t *testing.T, text string) {
		samples, torn := Decode(text)
		if len(samples)+torn > 2*strings.Count(text, "\n")+2 {
			t.Fatalf("%d samples and %d torn of %d lines", len(samples), torn, strings.Count(text, "\n")+1)
		}
		h := Sum(samples, time.Unix(0, 0), time.Unix(1<<40, 0), 10)
		for _, s := range h.Series {
			for _, r := range []Range{s.CPU, s.Memory} {
				if math.IsNaN(r.Avg) || math.IsInf(r.Max, 0) || r.Min > r.Max {
					t.Fatalf("%+v of %q", r, text)
				}
			}
		}
	})
}

// at is a sample of a server with one container.
func at(second int64, id string, cpu, memory int64) Sample {
	return Sample{At: time.Unix(second, 0), Load1: float64(second), CPUs: 2, Ticks: second * 200, Idle: second * 100, MemoryTotal: 1000, MemoryAvailable: 1000 - memory, DiskTotal: 10, DiskAvailable: 4, OOMKills: second / 60,
		NetIn: second, Containers: []ContainerSample{{Service: "app", Number: 1, ID: id, CPU: cpu, Memory: memory, NetOut: second * 2, BlockWrite: 5 * second}}}
}

func TestSum(t *testing.T) {
	samples := []Sample{
		at(0, "old", 0, 100), at(60, "old", 30e6, 300), // half a CPU
		at(120, "new", 0, 200), at(180, "new", 60e6, 400), // another container of the service: a whole one
		at(100000, "new", 0, 999), // after that time
	}
	h := Sum(samples, time.Unix(0, 0), time.Unix(200, 0), 10)
	if h.Samples != 4 || len(h.Series) != 2 {
		t.Fatalf("%+v", h)
	}
	server, app := h.Series[0], h.Series[1]
	if want := (Range{100, 100, 100}); server.CPU != want || server.Memory != (Range{100, 250, 400}) || *server.Disk != (Range{6, 6, 6}) || server.OOMKills != 3 || server.NetIn != 180 {
		t.Errorf("server %+v", server)
	}
	if app.CPU != (Range{50, 75, 100}) || app.Memory != (Range{100, 250, 400}) || app.NetOut != 240 || app.BlockWrite != 600 || app.Service != "app" {
		t.Errorf("app %+v", app)
	}
	var points []int64
	for _, p := range app.Points {
		points = append(points, p.At.Unix())
	}
	if !reflect.DeepEqual(points, []int64{0, 60, 120, 180}) {
		t.Errorf("points at %v", points)
	}
	if line := h.Spark(app.Points, func(p Point) float64 { return p.Memory }, 10); line != "▂  ▆  ▄  █" {
		t.Errorf("drawn %q", line)
	}
	if empty := Sum(nil, time.Unix(0, 0), time.Unix(200, 0), 10); empty.Samples != 0 || empty.Series == nil {
		t.Errorf("of nothing: %+v", empty)
	}
	started := Sum([]Sample{{At: time.Unix(1, 0), NetIn: 1000, Ticks: 500}, {At: time.Unix(2, 0), NetIn: 7, Ticks: 3}}, time.Unix(0, 0), time.Unix(3, 0), 3)
	if started.Series[0].NetIn != 7 {
		t.Errorf("after a start of the server %d bytes, want 7", started.Series[0].NetIn)
	}
}
