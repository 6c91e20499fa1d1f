package hosts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// labelStack is on everything that a stack makes in an engine.
const labelStack = "cloudship.stack"

// socketScript tells whether there is an engine at all.
const socketScript = `[ ! -S /var/run/docker.sock ] || echo yes`

// sweep takes away what is left of a stack in a machine's engine: containers and networks that bear
// its label, and nothing else. Its releases were taken away before, with their hooks; this is for
// what one that was cut short has left. Volumes stay, and are told.
func sweep(ctx context.Context, host *remote.Host, stack resource.StackID, say func(string)) error {
	out, err := host.Run(ctx, remote.Script(socketScript).AsRoot())
	if err != nil || len(out.Stdout) == 0 {
		return err
	}
	docker, err := host.Docker(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = docker.Close() }()
	ours := make(client.Filters).Add("label", labelStack+"="+string(stack))
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, c := range containers.Items {
		say("removing container " + strings.TrimPrefix(strings.Join(c.Names, " "), "/"))
		if _, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove a container: %w", err)
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks.Items {
		if _, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			say(fmt.Sprintf("network %s stays: %v", n.Name, err))
		}
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: ours})
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	for _, v := range volumes.Items {
		say(fmt.Sprintf("volume %s stays on the machine with its data", v.Name))
	}
	return nil
}

// forget removes the stack's folder from a machine.
func forget(ctx context.Context, host *remote.Host, stack resource.StackID) error {
	if !stack.Valid() {
		return errors.New("no stack to forget")
	}
	_, err := host.Run(ctx, remote.Script(forgetScript, folder(stack)).AsRoot())
	return err
}
