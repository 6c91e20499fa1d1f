package template

import (
	"path"
	"slices"
	"strings"
)

// engineSockets are where engines listen.
var engineSockets = []string{"/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"}

// engineSocket warns of a service that is reached from outside and can reach the engine. Proxies
// that find their containers by themselves want this; here cloudship tells them, so none has to.
func (c *converter) engineSocket(name string, s Service) {
	if len(s.Ports) == 0 && !s.PublishAll && s.NetworkMode != "host" {
		return
	}
	for _, m := range s.Mounts {
		if m.Type != MountBind || !holdsSocket(m.Source) {
			continue
		}
		d := c.warnf([]string{"services", name, "volumes"}, "services.%s: it is reached from outside and holds the engine's socket (%s): whoever breaks into it owns the server, and :ro does not help", name, m.Source)
		d.Hint = "take the mount away and let cloudship tell the service which containers run: a config with {{ SERVICE | container_name }} in it, and a hook on start:SERVICE that reloads"
	}
}

// holdsSocket reports whether a path of the server is an engine's socket, or a folder that has one.
func holdsSocket(source string) bool {
	source = path.Clean(source)
	return strings.HasSuffix(source, "/docker.sock") || slices.ContainsFunc(engineSockets, func(socket string) bool {
		return source == socket || source == "/" || strings.HasPrefix(socket, source+"/")
	})
}
