package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// ServerStats is what a server and its containers use at a moment.
type ServerStats struct {
	Server      resource.Address `json:"server"`
	Load1       float64          `json:"load1"` // the load of the last minute
	CPUs        int              `json:"cpus"`
	MemoryUsed  int64            `json:"memory_used"` // bytes
	MemoryTotal int64            `json:"memory_total"`
	DiskUsed    int64            `json:"disk_used"` // bytes of the root file system
	DiskTotal   int64            `json:"disk_total"`
	Containers  []ContainerStats `json:"containers"`
	Problem     string           `json:"problem,omitempty"` // why it could not be asked
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
}

// Stats measures a server and its containers once; it takes a second.
func (d *Driver) Stats(ctx context.Context, server resource.Found, enrolled bool) (ServerStats, error) {
	stats := ServerStats{Server: server.Mark.Address}
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return stats, err
	}
	out, err := host.Run(ctx, remote.Script(`cat /proc/loadavg; nproc; grep -E '^(MemTotal|MemAvailable):' /proc/meminfo; df -Pk / | tail -1`))
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
	return stats, err
}

// read reads what a server says of itself: load, CPUs, memory, disk.
func (s *ServerStats) read(text string) error {
	var available int64
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 0; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		var err error
		switch {
		case n == 0 && len(words) >= 3:
			s.Load1, err = strconv.ParseFloat(words[0], 64)
		case n == 1 && len(words) == 1:
			s.CPUs, err = strconv.Atoi(words[0])
		case len(words) == 3 && words[0] == "MemTotal:":
			s.MemoryTotal, err = kilobytes(words[1])
		case len(words) == 3 && words[0] == "MemAvailable:":
			available, err = kilobytes(words[1])
		case len(words) == 6:
			if s.DiskTotal, err = kilobytes(words[1]); err == nil {
				s.DiskUsed, err = kilobytes(words[2])
			}
		default:
			return fmt.Errorf("%q is not understood", lines.Text())
		}
		if err != nil {
			return err
		}
	}
	s.MemoryUsed = s.MemoryTotal - available
	return lines.Err()
}

func kilobytes(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n << 10, err
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
