package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/deploy/sampler"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// samplingFile is what a server remembers of the measuring that was set up on it.
type samplingFile struct {
	Spec    resource.Sampling `json:"spec"`
	Docker  string            `json:"docker"`  // the engine's root folder
	Private string            `json:"private"` // the server's private address
	Digest  string            `json:"digest"`  // of the files
}

// stopScript takes units away. Its arguments are a name for all of them.
const stopScript = `[ -d /run/systemd/system ] || exit 0
for unit in "$1.timer" "$1-prometheus.socket"; do
	systemctl disable --now "$unit" >/dev/null 2>&1 || true
done
systemctl stop "$1.service" "$1-prometheus@*.service" >/dev/null 2>&1 || true
rm -f -- "/etc/systemd/system/$1.timer" "/etc/systemd/system/$1.service" "/etc/systemd/system/$1-prometheus.socket" "/etc/systemd/system/$1-prometheus@.service"
systemctl daemon-reload
systemctl reset-failed "$1*" >/dev/null 2>&1 || true`

// startScript switches units on. Its arguments are the folder of the script, and the units.
const startScript = `chmod 0700 "$1/stats"
shift
systemctl daemon-reload
for unit in "$@"; do
	systemctl enable --now "$unit"
done`

// intactScript tells whether all is as it was set up: its arguments are the folder of the script, and
// the units.
const intactScript = `sha256sum -c --status "$1/sums" 2>/dev/null || exit 0
shift
for unit in "$@"; do
	systemctl is-enabled --quiet "$unit" && systemctl is-active --quiet "$unit" || exit 0
done
echo intact`

// putSampling has a server measure itself as the stack wants it, or not at all.
func (h *Hosts) putSampling(ctx context.Context, host *remote.Host, server resource.Found, want *resource.Sampling, say func(string)) error {
	f := h.folder(host)
	have, installed, err := h.lookSampling(ctx, host)
	if err != nil || !installed && want == nil || have != nil && want != nil && *have == *want {
		return err
	}
	if want == nil {
		say("it measures itself no longer")
		return h.dropSampling(ctx, host)
	}
	out, err := host.Run(ctx, remote.Script(`[ -d /run/systemd/system ] && echo yes || echo no`))
	if err != nil {
		return fmt.Errorf("set up stats: %w", err)
	}
	if strings.TrimSpace(string(out.Stdout)) != "yes" {
		return resource.WithHint(errors.New("the stats block needs a timer and a socket of systemd, which this server does not run"),
			"take another image, or take the stats block away: 'cloudship stats' itself needs nothing on the server")
	}
	docker, err := h.dockerRoot(ctx, host)
	if err != nil {
		return err
	}
	files, err := sampler.Of(h.options.Stack, f.root, docker, server.Facts.PrivateIP, want)
	if err != nil {
		return err
	}
	say("it is to measure itself: " + strings.Join(files.Units, ", "))
	if _, err := host.Run(ctx, remote.Script(stopScript, files.Name).AsRoot()); err != nil {
		return fmt.Errorf("set up stats: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files.Content)) {
		if err := host.WriteFile(ctx, name, 0o644, "root", []byte(files.Content[name])); err != nil {
			return err
		}
	}
	if err := host.WriteFile(ctx, path.Join(files.Folder, "sums"), 0o600, "root", []byte(files.Sums())); err != nil {
		return err
	}
	if _, err := host.Run(ctx, remote.Script(startScript, append([]string{files.Folder}, files.Units...)...).AsRoot()); err != nil {
		return resource.WithHint(fmt.Errorf("set up stats: %w", err), "'cloudship ssh' and 'journalctl -xe' tell more; a port that something else has is the commonest reason")
	}
	if want.History == 0 {
		if _, err := host.Run(ctx, remote.Argv("rm", "-rf", "--", path.Join(files.Folder, "history")).AsRoot()); err != nil {
			return err
		}
	}
	return f.write(ctx, samplingFile{Spec: *want, Docker: docker, Private: server.Facts.PrivateIP, Digest: files.Digest()}, "stats", "spec.json")
}

// dropSampling takes all of it away, the history too.
func (h *Hosts) dropSampling(ctx context.Context, host *remote.Host) error {
	files, _ := sampler.Of(h.options.Stack, h.folder(host).root, "", "", nil)
	if _, err := host.Run(ctx, remote.Script(stopScript+"\nrm -rf -- \"$2\"", files.Name, files.Folder).AsRoot()); err != nil {
		return fmt.Errorf("take stats away: %w", err)
	}
	return nil
}

// lookSampling finds how a server measures itself: nil where it does not, or not as this program
// would have set it up. Installed says that there is something, however broken.
func (h *Hosts) lookSampling(ctx context.Context, host *remote.Host) (spec *resource.Sampling, installed bool, err error) {
	f := h.folder(host)
	names, _ := sampler.Of(h.options.Stack, f.root, "", "", nil)
	out, err := host.Run(ctx, remote.Script(`[ -e "$1" ] || [ -e "/etc/systemd/system/$2.timer" ] || [ -e "/etc/systemd/system/$2-prometheus.socket" ] || exit 0
echo installed
cat "$1/spec.json" 2>/dev/null || true`, names.Folder, names.Name).AsRoot())
	if err != nil {
		return nil, false, fmt.Errorf("look at stats: %w", err)
	}
	first, rest, _ := strings.Cut(string(out.Stdout), "\n")
	if first != "installed" {
		return nil, false, nil
	}
	var file samplingFile
	if json.Unmarshal([]byte(rest), &file) != nil {
		return nil, true, nil // it was cut short
	}
	files, err := sampler.Of(h.options.Stack, f.root, file.Docker, file.Private, &file.Spec)
	if err != nil || files.Digest() != file.Digest {
		return nil, true, nil // another version's
	}
	out, err = host.Run(ctx, remote.Script(intactScript, append([]string{files.Folder}, files.Units...)...).AsRoot())
	if err != nil {
		return nil, true, fmt.Errorf("look at stats: %w", err)
	}
	if strings.TrimSpace(string(out.Stdout)) != "intact" {
		return nil, true, nil
	}
	return &file.Spec, true, nil
}

// dockerRoot is the folder in which the engine keeps its containers.
func (h *Hosts) dockerRoot(ctx context.Context, host *remote.Host) (string, error) {
	e, err := h.engine(ctx, host)
	if err != nil {
		return "", err
	}
	defer func() { _ = e.Close() }()
	info, err := e.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", fmt.Errorf("ask Docker about itself: %w", err)
	}
	return info.Info.DockerRootDir, nil
}
