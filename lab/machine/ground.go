package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// ground is what all servers of a lab stand on, found out or made once.
type ground struct {
	public, private labNetwork
	capabilities    []string // those that the engine can give
	resolvConf      string   // name servers that nested containers can use, too; may be empty
	processors      int
}

// labNetwork is one of the lab's two networks. A server has the same last byte
// in both addresses.
type labNetwork struct {
	id     string
	prefix netip.Prefix // a /24
}

func (n labNetwork) address(host byte) netip.Addr {
	a := n.prefix.Addr().As4()
	a[3] = host
	return netip.AddrFrom4(a)
}

// endpoint fixes the address, so that it stays when the power goes.
func (n labNetwork) endpoint(host byte) *network.EndpointSettings {
	return &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: n.address(host)}}
}

// wanted are the capabilities beyond an engine's usual ones that a server
// needs: systemd and Docker run in it. Those that reach past the container
// (clock, kernel modules) are not among them.
var wanted = []string{
	"AUDIT_CONTROL", "AUDIT_READ", "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE",
	"NET_ADMIN", "NET_BROADCAST", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE",
	"SYS_RAWIO", "SYS_RESOURCE", "SYS_TTY_CONFIG",
}

// needed are those without which a server does not work.
var needed = []string{"NET_ADMIN", "SYS_ADMIN"}

func (h *Containers) prepare(ctx context.Context, ref string) (*ground, error) {
	info, err := h.docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask the Docker engine what it can do: %w", err)
	}
	g := &ground{processors: info.Info.NCPU}
	if err := h.probe(ctx, ref, g); err != nil {
		return nil, fmt.Errorf("ask the Docker engine what it can do: %w", err)
	}
	if err := h.networks(ctx, g); err != nil {
		return nil, err
	}
	return g, nil
}

// probe finds out which capabilities a container can have here: an engine that
// lacks one refuses to start the container. The same containers tell which
// name servers work in them.
func (h *Containers) probe(ctx context.Context, ref string, g *ground) error {
	given := wanted
	printed, err := h.tryCapabilities(ctx, ref, given)
	if err != nil {
		// The one that is missing most often.
		given = slices.DeleteFunc(slices.Clone(wanted), func(c string) bool { return c == "SYS_RESOURCE" })
		printed, err = h.tryCapabilities(ctx, ref, given)
	}
	if err != nil {
		given = nil
		for _, c := range wanted {
			if _, err := h.tryCapabilities(ctx, ref, []string{c}); err == nil {
				given = append(given, c)
			} else if ctx.Err() != nil || slices.Contains(needed, c) {
				return fmt.Errorf("capability %s: %w", c, err)
			}
		}
		if printed, err = h.tryCapabilities(ctx, ref, given); err != nil {
			return err
		}
	}
	g.capabilities = given
	g.resolvConf = usableResolvConf(printed)
	return nil
}

// tryCapabilities runs a container with them and returns its resolv.conf.
func (h *Containers) tryCapabilities(ctx context.Context, ref string, capabilities []string) (string, error) {
	made, err := h.createContainer(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: ref, Cmd: []string{"cat", "/etc/resolv.conf"}, Tty: true,
			Labels: map[string]string{labLabel: h.lab},
		},
		HostConfig: &container.HostConfig{CapAdd: capabilities},
	})
	if err != nil {
		return "", err
	}
	printed, err := h.runToEnd(ctx, made.ID)
	return printed, errors.Join(err, h.undo(ctx, made.ID))
}

func (h *Containers) runToEnd(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// Asked before the start, so that the end cannot be missed.
	end := h.docker.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := h.docker.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return "", err
	}
	select {
	case err := <-end.Error:
		return "", err
	case status := <-end.Result:
		if status.StatusCode != 0 {
			return "", fmt.Errorf("exit status %d", status.StatusCode)
		}
	}
	logs, err := h.docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true})
	if err != nil {
		return "", err
	}
	defer logs.Close()
	printed, err := io.ReadAll(logs)
	return string(printed), err
}

// usableResolvConf is the text if a container in a container can use it, that
// is, if it names a server that is not on a loopback address.
func usableResolvConf(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil && !a.IsLoopback() {
			return text
		}
	}
	return ""
}

// networks finds the lab's networks or makes them.
func (h *Containers) networks(ctx context.Context, g *ground) error {
	found, err := h.docker.NetworkList(ctx, client.NetworkListOptions{Filters: h.mine()})
	if err != nil {
		return fmt.Errorf("list the lab's networks: %w", err)
	}
	for _, n := range found.Items {
		if len(n.IPAM.Config) != 1 {
			continue
		}
		have := labNetwork{id: n.ID, prefix: n.IPAM.Config[0].Subnet}
		switch n.Labels[roleLabel] {
		case "public":
			g.public = have
		case "private":
			g.private = have
		}
	}
	mtu, err := h.mtu(ctx)
	if err != nil {
		return err
	}
	if g.public.id == "" {
		if g.public, err = h.makeNetwork(ctx, "public", 18, mtu); err != nil {
			return err
		}
	}
	if g.private.id == "" {
		if g.private, err = h.makeNetwork(ctx, "private", 19, mtu); err != nil {
			return err
		}
	}
	return nil
}

// mtu is that of the engine's own bridge: it knows what the way out bears, and
// does not tell it to networks made later.
func (h *Containers) mtu(ctx context.Context) (string, error) {
	const option = "com.docker.network.driver.mtu"
	bridge, err := h.docker.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at the engine's bridge: %w", err)
	}
	return bridge.Network.Options[option], nil
}

// makeNetwork makes a network in 198.18.0.0/15, which is set aside for tests
// and so in nobody's way. Which part is taken follows from the lab, and if
// that one is in use, the next.
func (h *Containers) makeNetwork(ctx context.Context, role string, second byte, mtu string) (labNetwork, error) {
	options := map[string]string{}
	if mtu != "" {
		options["com.docker.network.driver.mtu"] = mtu
	}
	start, err := strconv.ParseUint(h.lab[:2], 16, 8)
	if err != nil {
		return labNetwork{}, err
	}
	busy := localPrefixes()
	for i := range 256 {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, second, byte(int(start) + i), 0}), 24)
		if slices.ContainsFunc(busy, prefix.Overlaps) {
			continue
		}
		made, err := h.docker.NetworkCreate(ctx, "cloudship-lab-"+h.lab+"-"+role, client.NetworkCreateOptions{
			Driver: "bridge",
			// The private network leads nowhere; the way out is the public one.
			Internal: role == "private",
			IPAM:     &network.IPAM{Config: []network.IPAMConfig{{Subnet: prefix}}},
			Options:  options,
			Labels:   map[string]string{labLabel: h.lab, roleLabel: role},
		})
		if err == nil {
			return labNetwork{id: made.ID, prefix: prefix}, nil
		}
		if !strings.Contains(err.Error(), "overlap") {
			return labNetwork{}, fmt.Errorf("make the %s network: %w", role, err)
		}
	}
	return labNetwork{}, fmt.Errorf("make the %s network: every address range for labs is in use", role)
}

// localPrefixes are the networks that this machine is in.
func localPrefixes() []netip.Prefix {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil // the engine still refuses what overlaps its own networks
	}
	var prefixes []netip.Prefix
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			prefixes = append(prefixes, p.Masked())
		}
	}
	return prefixes
}
