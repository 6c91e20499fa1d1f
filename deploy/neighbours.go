package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// neighboursMost is how many containers of others are told of one server.
const neighboursMost = 200

// Neighbours tells what others have on a server that existed before and that is not this stack's
// yet: containers, and processes that hold ports. What is in an
// engine that the login may not talk to yet is not known.
func (d *Driver) Neighbours(ctx context.Context, server resource.Found) ([]resource.Neighbour, error) {
	host, err := d.hosts.Reach(ctx, server, true, nil)
	if err != nil {
		return nil, err
	}
	out, err := host.Run(ctx, remote.Script(listenScript).AsRoot())
	if err != nil {
		return nil, err
	}
	list := listening(string(out.Stdout))
	if out, err = host.Run(ctx, remote.Script(`[ ! -S /var/run/docker.sock ] || echo yes`)); err != nil || len(out.Stdout) == 0 {
		return list, err
	}
	containers, err := d.hosts.neighbours(ctx, host)
	var refused *remote.DockerError
	if errors.As(err, &refused) && host.Target().User != "" && host.Target().User != "root" {
		return list, nil // it gets into the group docker when the server is made ready
	}
	list = slices.DeleteFunc(list, func(n resource.Neighbour) bool { return n.Process == dockerProxy }) // the engine says more
	return append(list, containers...), err
}

// neighbours lists the containers on a server that are not this stack's, as far as they matter:
// those that are a stack's, and those that hold a host port.
func (h *Hosts) neighbours(ctx context.Context, host *remote.Host) ([]resource.Neighbour, error) {
	e, err := h.engine(ctx, host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	list, err := e.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var found []resource.Neighbour
	for _, c := range list.Items {
		n := resource.Neighbour{Stack: resource.StackID(c.Labels[labelStack]), Ports: portsHeld(c)}
		if n.Stack == e.stack || n.Stack == "" && len(n.Ports) == 0 {
			continue
		}
		if len(c.Names) > 0 {
			n.Container = strings.TrimPrefix(c.Names[0], "/")
		}
		found = append(found, n)
	}
	slices.SortFunc(found, func(a, b resource.Neighbour) int { return strings.Compare(a.Container, b.Container) })
	return found[:min(len(found), neighboursMost)], nil
}

// portsHeld lists the host ports that a container holds, as a neighbour has them. The engine lists
// those of containers that run alone.
func portsHeld(c container.Summary) []string {
	var ports []string
	for _, p := range c.Ports {
		if p.PublicPort == 0 {
			continue
		}
		port := fmt.Sprintf("%d/%s", p.PublicPort, or(p.Type, "tcp"))
		if p.IP.IsValid() && !p.IP.IsUnspecified() {
			port = net.JoinHostPort(p.IP.Unmap().String(), port)
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}
