package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/deploy/sampler"
	"github.com/cloudship/cloudship/resource"
)

// ServerStats is what a server and its containers use at a moment.
type ServerStats struct {
	Server      resource.Address `json:"server"`
	Load1       float64          `json:"load1"` // the load of the last minute
	CPUs        int              `json:"cpus"`
	MemoryUsed  int64            `json:"memory_used"` // bytes
	MemoryTotal int64            `json:"memory_total"`
	SwapUsed    int64            `json:"swap_used"`
	SwapTotal   int64            `json:"swap_total"`
	DiskUsed    int64            `json:"disk_used"` // bytes of the root file system, with what users may not have
	DiskTotal   int64            `json:"disk_total"`
	InodesUsed  int64            `json:"inodes_used"`
	InodesTotal int64            `json:"inodes_total"` // 0: the file system does not count them
	OOMKills    int64            `json:"oom_kills"`    // processes killed for want of memory since the server was started
	Containers  []ContainerStats `json:"containers"`
	Warnings    []string         `json:"warnings,omitempty"` // what is nearly full, or was killed
	Problem     string           `json:"problem,omitempty"`  // why it could not be asked
}

// ContainerStats is what a container uses.
type ContainerStats struct {
	Service     string  `json:"service"`
	Number      int     `json:"number"`
	Name        string  `json:"name"`
	CPU         float64 `json:"cpu_percent"`  // 100 is one CPU
	Memory      int64   `json:"memory"`       // bytes, without the file cache
	MemoryLimit int64   `json:"memory_limit"` // of the container, or of the server where it has none
	NetIn       int64   `json:"net_in"`       // bytes since it was started
	NetOut      int64   `json:"net_out"`
	BlockRead   int64   `json:"block_read"`
	BlockWrite  int64   `json:"block_write"`
	PIDs        int     `json:"pids"`
	Restarts    int     `json:"restarts"`   // by the engine, since it was made
	OOMKilled   bool    `json:"oom_killed"` // the last time that it ended
}

// Stats measures a server and its containers once; it takes a second.
func (d *Driver) Stats(ctx context.Context, server resource.Found, enrolled bool) (ServerStats, error) {
	stats := ServerStats{Server: server.Mark.Address}
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return stats, err
	}
	out, err := host.Run(ctx, sampler.Once().AsRoot())
	if err != nil {
		return stats, fmt.Errorf("measure %s: %w", server.Mark.Address, err)
	}
	if err := stats.read(string(out.Stdout)); err != nil {
		return stats, fmt.Errorf("measure %s: %w", server.Mark.Address, err)
	}
	e, err := d.hosts.engine(ctx, host)
	if err != nil {
		return stats, err
	}
	defer func() { _ = e.Close() }()
	stats.Containers, err = e.stats(ctx)
	stats.Warnings = stats.warnings()
	return stats, err
}

// read reads what a server says of itself.
func (s *ServerStats) read(text string) error {
	samples, _ := sampler.Decode(text)
	if len(samples) != 1 {
		return fmt.Errorf("%q is not understood", text)
	}
	one := samples[0]
	s.Load1, s.CPUs, s.OOMKills = one.Load1, one.CPUs, one.OOMKills
	s.MemoryTotal, s.MemoryUsed = one.MemoryTotal, one.MemoryTotal-one.MemoryAvailable
	s.SwapTotal, s.SwapUsed = one.SwapTotal, one.SwapTotal-one.SwapFree
	s.DiskTotal, s.DiskUsed = one.DiskTotal, one.DiskTotal-one.DiskAvailable
	s.InodesTotal, s.InodesUsed = one.Inodes, one.Inodes-one.InodesFree
	return nil
}

// nearly is the share from which something counts as nearly full.
const nearly = 0.9

// warnings say what is nearly full, and what was killed for it.
func (s ServerStats) warnings() []string {
	var list []string
	full := func(what string, used, total int64) {
		if total > 0 && float64(used) >= nearly*float64(total) {
			list = append(list, fmt.Sprintf("%s: %d %% are used", what, 100*used/total))
		}
	}
	full("memory", s.MemoryUsed, s.MemoryTotal)
	full("swap", s.SwapUsed, s.SwapTotal)
	full("disk", s.DiskUsed, s.DiskTotal)
	full("inodes", s.InodesUsed, s.InodesTotal)
	if s.OOMKills > 0 {
		list = append(list, fmt.Sprintf("processes killed for want of memory since the server was started: %d", s.OOMKills))
	}
	for _, c := range s.Containers {
		name := fmt.Sprintf("%s.%d", c.Service, c.Number)
		if c.MemoryLimit < s.MemoryTotal {
			full(name+": memory", c.Memory, c.MemoryLimit)
		}
		if c.OOMKilled {
			list = append(list, name+" was killed for want of memory the last time that it ended")
		}
	}
	return list
}

// stats measures all running containers at the same time.
func (e *engine) stats(ctx context.Context) ([]ContainerStats, error) {
	list, err := e.ContainerList(ctx, client.ContainerListOptions{Filters: ours(e.stack)})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var (
		all  = make([]*ContainerStats, len(list.Items))
		errs = make([]error, len(list.Items))
		wg   sync.WaitGroup
	)
	for i, c := range list.Items {
		wg.Add(1)
		go func() {
			defer wg.Done()
			all[i], errs[i] = e.measure(ctx, c)
		}()
	}
	wg.Wait()
	stats := []ContainerStats{}
	for _, one := range all {
		if one != nil {
			stats = append(stats, *one)
		}
	}
	slices.SortFunc(stats, func(a, b ContainerStats) int {
		if c := strings.Compare(a.Service, b.Service); c != 0 {
			return c
		}
		return a.Number - b.Number
	})
	return stats, errors.Join(errs...)
}

// measure measures a container; nil where it has gone meanwhile.
func (e *engine) measure(ctx context.Context, c container.Summary) (*ContainerStats, error) {
	name := strings.TrimPrefix(strings.Join(c.Names, " "), "/")
	answer, err := e.ContainerStats(ctx, c.ID, client.ContainerStatsOptions{IncludePreviousSample: true})
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", name, err)
	}
	defer func() { _ = answer.Body.Close() }()
	var sample container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&sample); err != nil {
		return nil, fmt.Errorf("measure %s: %w", name, err)
	}
	stats := usage(sample)
	if c, err := e.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{}); err == nil && c.Container.State != nil {
		stats.Restarts, stats.OOMKilled = c.Container.RestartCount, c.Container.State.OOMKilled
	}
	stats.Service, stats.Number, stats.Name = c.Labels[composeService], numberOf(c.Labels), name
	return &stats, nil
}

// usage works out what two samples of the engine mean.
func usage(s container.StatsResponse) ContainerStats {
	u := ContainerStats{MemoryLimit: int64(s.MemoryStats.Limit), PIDs: int(s.PidsStats.Current)}
	cache, ok := s.MemoryStats.Stats["inactive_file"] // cgroup 2
	if !ok {
		cache = s.MemoryStats.Stats["total_inactive_file"]
	}
	u.Memory = int64(s.MemoryStats.Usage - min(cache, s.MemoryStats.Usage))
	spent := float64(s.CPUStats.CPUUsage.TotalUsage) - float64(s.PreCPUStats.CPUUsage.TotalUsage)
	passed := float64(s.CPUStats.SystemUsage) - float64(s.PreCPUStats.SystemUsage)
	cpus := float64(s.CPUStats.OnlineCPUs)
	if cpus == 0 {
		cpus = float64(len(s.CPUStats.CPUUsage.PercpuUsage))
	}
	if spent > 0 && passed > 0 {
		u.CPU = spent / passed * cpus * 100
	}
	for _, n := range s.Networks {
		u.NetIn, u.NetOut = u.NetIn+int64(n.RxBytes), u.NetOut+int64(n.TxBytes)
	}
	for _, b := range s.BlkioStats.IoServiceBytesRecursive {
		switch strings.ToLower(b.Op) {
		case "read":
			u.BlockRead += int64(b.Value)
		case "write":
			u.BlockWrite += int64(b.Value)
		}
	}
	return u
}
