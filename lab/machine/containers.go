package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/lab/image"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Everything that a lab makes on the engine carries these labels.
const (
	labLabel     = "cloudship.lab"         // which lab: a hash of its folder
	serverLabel  = "cloudship.lab.server"  // the server's ID
	nameLabel    = "cloudship.lab.name"    // its name
	publicLabel  = "cloudship.lab.public"  // its public address
	privateLabel = "cloudship.lab.private" // its private address
	roleLabel    = "cloudship.lab.role"    // of a network: public or private
	userLabel    = "cloudship.lab.user."   // before the caller's own labels
)

// stopSeconds is how long a server may take to shut down before its power is
// cut.
const stopSeconds = 5

// ErrGone is wrapped when a server is not there.
var ErrGone = errors.New("no such server")

// ErrNoEngine is wrapped when no Docker engine answers.
var ErrNoEngine = errors.New("no Docker engine can be reached")

// Containers is a Host of real servers in containers of the local Docker
// engine. What it made is found again by a later process with the same folder.
type Containers struct {
	docker *client.Client
	log    *slog.Logger
	lab    string

	mu    sync.Mutex // held while the ground is prepared and addresses are given out
	ready *ground
	last  byte          // of the last address given out
	held  map[byte]bool // addresses of servers that are being made
}

var _ Host = (*Containers)(nil)

// OpenContainers finds the servers of the lab in this folder. It makes nothing
// yet: networks and images come with the first server. It answers ErrNoEngine
// where Docker is not running.
func OpenContainers(ctx context.Context, dir string, log *slog.Logger) (*Containers, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return nil, err
	}
	if _, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrNoEngine, err), docker.Close())
	}
	sum := sha256.Sum256([]byte(dir))
	return &Containers{
		docker: docker, log: log, lab: hex.EncodeToString(sum[:6]), held: map[byte]bool{},
	}, nil
}

func (h *Containers) Create(ctx context.Context, s Spec) (Machine, error) {
	m, err := h.create(ctx, s)
	if err != nil {
		return Machine{}, fmt.Errorf("create server %s: %w", s.ID, err)
	}
	return m, nil
}

func (h *Containers) create(ctx context.Context, s Spec) (Machine, error) {
	ref, err := image.Ensure(ctx, s.Image, func(line string) { h.log.Info(line) })
	if err != nil {
		return Machine{}, err
	}
	g, host, err := h.reserve(ctx, ref)
	if err != nil {
		return Machine{}, err
	}
	defer h.release(host)
	seed, err := g.seed(s)
	if err != nil {
		return Machine{}, err
	}
	made, err := h.createContainer(ctx, g.options(h.lab, s, ref, host))
	if err != nil {
		return Machine{}, err
	}
	if err := h.boot(ctx, made.ID, g, host, seed); err != nil {
		return Machine{}, errors.Join(err, h.undo(ctx, made.ID))
	}
	return Machine{
		ID: s.ID, Name: s.Name, Running: true, Labels: s.Labels,
		PublicIP: g.public.address(host).String(), PrivateIP: g.private.address(host).String(),
	}, nil
}

// createContainer is not broken off by the context: the engine would go on
// making what nobody waits for.
func (h *Containers) createContainer(ctx context.Context, options client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	if err := ctx.Err(); err != nil {
		return client.ContainerCreateResult{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return h.docker.ContainerCreate(ctx, options)
}

// boot gives a container that was made its second address and its seed, and
// starts it.
func (h *Containers) boot(ctx context.Context, id string, g *ground, host byte, seed []byte) error {
	_, err := h.docker.NetworkConnect(ctx, g.private.id, client.NetworkConnectOptions{
		Container: id, EndpointConfig: g.private.endpoint(host),
	})
	if err != nil {
		return fmt.Errorf("private network: %w", err)
	}
	_, err = h.docker.CopyToContainer(ctx, id, client.CopyToContainerOptions{
		DestinationPath: "/", Content: bytes.NewReader(seed),
	})
	if err != nil {
		return fmt.Errorf("user data: %w", err)
	}
	_, err = h.docker.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return err
}

// undo removes what a create that failed has made, even if it failed because
// its context ended.
func (h *Containers) undo(ctx context.Context, container string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return h.remove(ctx, container)
}

func (h *Containers) Delete(ctx context.Context, id string) error {
	if err := h.remove(ctx, h.container(id)); err != nil {
		return fmt.Errorf("delete server %s: %w", id, err)
	}
	return nil
}

// remove takes a container and its volumes away and waits until it is gone.
func (h *Containers) remove(ctx context.Context, container string) error {
	for {
		_, err := h.docker.ContainerRemove(ctx, container, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		// Somebody else is removing it just now.
		if !errdefs.IsConflict(err) {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func (h *Containers) SetPower(ctx context.Context, id string, on bool) error {
	seconds := stopSeconds
	var err error
	if on {
		_, err = h.docker.ContainerStart(ctx, h.container(id), client.ContainerStartOptions{})
	} else {
		_, err = h.docker.ContainerStop(ctx, h.container(id), client.ContainerStopOptions{Timeout: &seconds})
	}
	return named("power of server", id, err)
}

func (h *Containers) Reboot(ctx context.Context, id string) error {
	seconds := stopSeconds
	_, err := h.docker.ContainerRestart(ctx, h.container(id), client.ContainerRestartOptions{Timeout: &seconds})
	return named("reboot server", id, err)
}

func named(doing, id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%s %s: %w", doing, id, ErrGone)
	}
	return fmt.Errorf("%s %s: %w", doing, id, err)
}

func (h *Containers) List(ctx context.Context) ([]Machine, error) {
	found, err := h.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: h.mine().Add("label", serverLabel)})
	if err != nil {
		return nil, fmt.Errorf("list servers: %w", err)
	}
	machines := make([]Machine, 0, len(found.Items))
	for _, c := range found.Items {
		machines = append(machines, machineOf(c))
	}
	slices.SortFunc(machines, func(a, b Machine) int { return strings.Compare(a.ID, b.ID) })
	return machines, nil
}

func machineOf(c container.Summary) Machine {
	m := Machine{
		ID: c.Labels[serverLabel], Name: c.Labels[nameLabel],
		PublicIP: c.Labels[publicLabel], PrivateIP: c.Labels[privateLabel],
		Running: c.State == container.StateRunning,
		Labels:  map[string]string{},
	}
	for key, value := range c.Labels {
		if own, ok := strings.CutPrefix(key, userLabel); ok {
			m.Labels[own] = value
		}
	}
	return m
}

// Console copies what a server has printed on its console so far.
func (h *Containers) Console(ctx context.Context, id string, w io.Writer) error {
	printed, err := h.docker.ContainerLogs(ctx, h.container(id), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return named("console of server", id, err)
	}
	defer printed.Close()
	_, err = io.Copy(w, printed)
	return named("console of server", id, err)
}

// RemoveAll deletes every server of the lab, its disks and its networks.
func (h *Containers) RemoveAll(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = nil
	found, err := h.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: h.mine()})
	if err != nil {
		return fmt.Errorf("list the lab's containers: %w", err)
	}
	var all sync.WaitGroup
	errs := make([]error, len(found.Items))
	for i, c := range found.Items {
		all.Go(func() { errs[i] = h.remove(ctx, c.ID) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the lab's containers: %w", err)
	}
	return errors.Join(h.removeVolumes(ctx), h.removeNetworks(ctx))
}

func (h *Containers) removeVolumes(ctx context.Context) error {
	found, err := h.docker.VolumeList(ctx, client.VolumeListOptions{Filters: h.mine()})
	if err != nil {
		return fmt.Errorf("list the lab's volumes: %w", err)
	}
	var errs []error
	for _, v := range found.Items {
		if _, err := h.docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove volume %s: %w", v.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (h *Containers) removeNetworks(ctx context.Context) error {
	found, err := h.docker.NetworkList(ctx, client.NetworkListOptions{Filters: h.mine()})
	if err != nil {
		return fmt.Errorf("list the lab's networks: %w", err)
	}
	var errs []error
	for _, n := range found.Items {
		if _, err := h.docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove network %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Close lets go of the engine. Servers go on running.
func (h *Containers) Close() error { return h.docker.Close() }

func (h *Containers) mine() client.Filters {
	return client.Filters{}.Add("label", labLabel+"="+h.lab)
}

// container is the name of a server's container.
func (h *Containers) container(id string) string { return containerName(h.lab, id) }

func containerName(lab, id string) string { return "cloudship-lab-" + lab + "-" + id }

// reserve prepares the ground, if that was not done before, and picks an
// address that no server has.
func (h *Containers) reserve(ctx context.Context, ref string) (*ground, byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ready == nil {
		g, err := h.prepare(ctx, ref)
		if err != nil {
			return nil, 0, err
		}
		h.ready = g
	}
	machines, err := h.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	taken := maps.Clone(h.held)
	for _, m := range machines {
		if a, err := netip.ParseAddr(m.PublicIP); err == nil && a.Is4() {
			taken[a.As4()[3]] = true
		}
	}
	host, ok := nextHost(h.last, taken)
	if !ok {
		return nil, 0, errors.New("the lab's network is full")
	}
	h.last = host
	h.held[host] = true
	return h.ready, host, nil
}

func (h *Containers) release(host byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, host)
}

// Addresses go round, so that a new server does not at once get the address
// of one that was just deleted.
const firstHost, lastHost = 10, 250

func nextHost(last byte, taken map[byte]bool) (byte, bool) {
	for range lastHost - firstHost + 1 {
		last++
		if last < firstHost || last > lastHost {
			last = firstHost
		}
		if !taken[last] {
			return last, true
		}
	}
	return 0, false
}

// pause waits, and returns the context's error if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
