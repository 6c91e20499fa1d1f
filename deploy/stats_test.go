package deploy

import (
	"testing"

	"github.com/moby/moby/api/types/container"
)

func TestAServerSaysWhatItUses(t *testing.T) {
	var s ServerStats
	text := "0.52 0.58 0.59 1/467 12345\n2\nMemTotal:        2030000 kB\nMemAvailable:    1530000 kB\n/dev/vda1  25000000 5000000 20000000 20% /\n"
	if err := s.read(text); err != nil {
		t.Fatal(err)
	}
	want := ServerStats{Load1: 0.52, CPUs: 2, MemoryUsed: 500000 << 10, MemoryTotal: 2030000 << 10, DiskUsed: 5000000 << 10, DiskTotal: 25000000 << 10}
	if s.Load1 != want.Load1 || s.CPUs != want.CPUs || s.MemoryUsed != want.MemoryUsed || s.DiskUsed != want.DiskUsed || s.DiskTotal != want.DiskTotal {
		t.Errorf("got %+v, want %+v", s, want)
	}
	for _, wrong := range []string{"nonsense", "0.5 0.5 0.5 1/2 3\nmany\n", "0.5 0.5 0.5 1/2 3\n2\nMemTotal: x kB\n"} {
		if err := new(ServerStats).read(wrong); err == nil {
			t.Errorf("%q is understood", wrong)
		}
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
