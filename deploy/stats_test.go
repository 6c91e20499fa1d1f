package deploy

import (
	"reflect"
	"slices"
	"testing"

	"github.com/moby/moby/api/types/container"
)

func TestAServerSaysWhatItUses(t *testing.T) {
	var s ServerStats
	if err := s.read("s1 1795842000 0.52 2 1000 400 2000 500 100 40 5000 4000 90 30 3 10 20 .\n"); err != nil {
		t.Fatal(err)
	}
	want := ServerStats{Load1: 0.52, CPUs: 2, MemoryUsed: 1500, MemoryTotal: 2000, SwapUsed: 60, SwapTotal: 100, DiskUsed: 1000, DiskTotal: 5000, InodesUsed: 60, InodesTotal: 90, OOMKills: 3}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	for _, wrong := range []string{"", "nonsense", "s1 1795842000 0.52 2 1000 400"} {
		if err := new(ServerStats).read(wrong); err == nil {
			t.Errorf("%q is understood", wrong)
		}
	}
}

// TestF20AServerNearTheEndOfItsMemorySaysSo holds what is told of a server of 512 MB that runs out.
func TestF20AServerNearTheEndOfItsMemorySaysSo(t *testing.T) {
	s := ServerStats{MemoryUsed: 480 << 20, MemoryTotal: 512 << 20, DiskUsed: 1, DiskTotal: 100, SwapTotal: 0, InodesUsed: 95, InodesTotal: 100, OOMKills: 2, Containers: []ContainerStats{
		{Service: "app", Number: 1, Memory: 250 << 20, MemoryLimit: 256 << 20, OOMKilled: true},
		{Service: "proxy", Number: 1, Memory: 500 << 20, MemoryLimit: 512 << 20},
	}}
	want := []string{"memory: 93 % are used", "inodes: 95 % are used", "processes killed for want of memory since the server was started: 2",
		"app.1: memory: 97 % are used", "app.1 was killed for want of memory the last time that it ended"}
	if have := s.warnings(); !slices.Equal(have, want) {
		t.Errorf("warned %q, want %q", have, want)
	}
	if have := (ServerStats{MemoryUsed: 1, MemoryTotal: 10}).warnings(); len(have) > 0 {
		t.Errorf("a server at ease warns %q", have)
	}
}

func TestP18UsageIsWhatTwoSamplesMean(t *testing.T) {
	var s container.StatsResponse
	s.CPUStats.CPUUsage.TotalUsage, s.PreCPUStats.CPUUsage.TotalUsage = 1_500, 1_000
	s.CPUStats.SystemUsage, s.PreCPUStats.SystemUsage = 20_000, 18_000
	s.CPUStats.OnlineCPUs = 2
	s.MemoryStats.Usage, s.MemoryStats.Limit = 1000, 5000
	s.MemoryStats.Stats = map[string]uint64{"inactive_file": 300}
	s.Networks = map[string]container.NetworkStats{"eth0": {RxBytes: 10, TxBytes: 20}, "eth1": {RxBytes: 1, TxBytes: 2}}
	s.BlkioStats.IoServiceBytesRecursive = []container.BlkioStatEntry{{Op: "Read", Value: 7}, {Op: "write", Value: 9}, {Op: "Total", Value: 16}}
	u := usage(s)
	want := ContainerStats{CPU: 50, Memory: 700, MemoryLimit: 5000, NetIn: 11, NetOut: 22, BlockRead: 7, BlockWrite: 9}
	if u != want {
		t.Errorf("got %+v, want %+v", u, want)
	}
}
