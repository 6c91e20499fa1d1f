package machine

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/lab/image"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Publish listens on ports of a loopback address that this user may not bind,
// in a container on this machine's own network, and passes each connection on
// to another port of that address. It replaces what was published under the
// name before.
func (h *Containers) Publish(ctx context.Context, name, address string, ports map[int]int) error {
	if err := h.Unpublish(ctx, name); err != nil || len(ports) == 0 {
		return err
	}
	ref, err := image.Ensure(ctx, "debian-12-x64", func(line string) { h.log.Info(line) })
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	made, err := h.docker.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: h.container(name),
		Config: &container.Config{
			Image: ref, Entrypoint: []string{"/bin/sh", "-c", publishScript(address, ports)}, Cmd: []string{},
			Labels: map[string]string{labLabel: h.lab},
		},
		HostConfig: &container.HostConfig{
			NetworkMode:   "host",
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		},
	})
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	if _, err := h.docker.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	return nil
}

// Unpublish ends what Publish began. It is nil if nothing is published.
func (h *Containers) Unpublish(ctx context.Context, name string) error {
	if err := h.remove(ctx, h.container(name)); err != nil {
		return fmt.Errorf("unpublish %s: %w", name, err)
	}
	return nil
}

// publishScript starts systemd's own forwarder for each port, and ends when
// the first of them ends.
func publishScript(address string, ports map[int]int) string {
	var lines []string
	for _, from := range slices.Sorted(maps.Keys(ports)) {
		lines = append(lines, fmt.Sprintf(
			"systemd-socket-activate --listen=%s /lib/systemd/systemd-socket-proxyd --connections-max=65536 %s &",
			net.JoinHostPort(address, strconv.Itoa(from)), net.JoinHostPort(address, strconv.Itoa(ports[from]))))
	}
	return strings.Join(append(lines, "wait -n 2>/dev/null || wait"), "\n")
}
