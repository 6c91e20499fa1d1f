package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// engine is a server's Docker engine as seen from one stack.
type engine struct {
	*client.Client
	host  machine
	stack resource.StackID
	group string // whose containers are looked at; empty: all
}

// of is the engine as seen from one group: the containers of others on the same machine are not
// touched.
func (e *engine) of(group string) *engine {
	one := *e
	one.group = group
	return &one
}

func (h *Hosts) engine(ctx context.Context, host *remote.Host) (*engine, error) {
	docker, err := host.Docker(ctx)
	if err != nil {
		return nil, err
	}
	return &engine{Client: docker, host: host, stack: h.options.Stack}, nil
}

// containers lists the stack's containers on the server, running or not, by service and number.
func (e *engine) containers(ctx context.Context) ([]container.InspectResponse, error) {
	filters := ours(e.stack)
	if e.group != "" {
		filters = filters.Add("label", labelGroup+"="+e.group)
	}
	list, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var found []container.InspectResponse
	for _, summary := range list.Items {
		if summary.Labels[composeOneOff] == "True" {
			continue
		}
		inspected, err := e.ContainerInspect(ctx, summary.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("inspect container %s: %w", summary.ID[:12], err)
		}
		found = append(found, inspected.Container)
	}
	slices.SortFunc(found, func(a, b container.InspectResponse) int {
		x, y := a.Config.Labels, b.Config.Labels
		if c := strings.Compare(x[composeService], y[composeService]); c != 0 {
			return c
		}
		if c := numberOf(x) - numberOf(y); c != 0 {
			return c
		}
		return strings.Compare(a.Created, b.Created)
	})
	return found, nil
}

// describe gives a container as a resource's facts have it.
func describe(c container.InspectResponse) resource.Container {
	labels := c.Config.Labels
	d := resource.Container{
		Service: labels[composeService],
		Number:  numberOf(labels),
		Name:    strings.TrimPrefix(c.Name, "/"),
		ID:      c.ID,
		Release: labels[labelRelease],
		Config:  labels[labelConfig],
		State:   string(c.State.Status),
		Ports:   map[string]int{},
	}
	if c.State.Health != nil {
		switch c.State.Health.Status {
		case container.Healthy:
			d.Health = resource.Healthy
		case container.Unhealthy:
			d.Health = resource.Unhealthy
		default:
			d.Health = resource.HealthUnknown
		}
	}
	if c.NetworkSettings == nil {
		return d
	}
	d.PrivateIP = privateIP(c)
	for port, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if n, err := strconv.Atoi(b.HostPort); err == nil && d.Ports[port.String()] == 0 {
				d.Ports[port.String()] = n
			}
		}
	}
	return d
}

// privateIP is a container's address in the first of its networks, by name.
func privateIP(c container.InspectResponse) string {
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		if ip := c.NetworkSettings.Networks[name].IPAddress; ip.IsValid() && !ip.IsUnspecified() {
			return ip.String()
		}
	}
	return ""
}

// tail is the last lines that a container printed, for errors.
func (e *engine) tail(ctx context.Context, id string, lines int) string {
	logs, err := e.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lines)})
	if err != nil {
		return ""
	}
	defer func() { _ = logs.Close() }()
	var text strings.Builder
	if err := copyLogs(&text, logs); err != nil && text.Len() == 0 {
		return ""
	}
	return strings.TrimRight(text.String(), "\n")
}
