// Package sampler has a server measure itself without anything that stays running: a script that a
// systemd timer starts, which adds a line to a bounded history, and that a systemd socket starts,
// which answers Prometheus.
package sampler

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

//go:embed stats.sh
var script string

//go:embed stats.awk
var program string

// most is how many bytes a server's history may have.
const most = 32 << 20

// Private stands for the server's private address in resource.Sampling.Listen.
const Private = "private"

// Files are what one stack's measuring needs on a server.
type Files struct {
	Name    string            // of the units
	Folder  string            // of the script and the history
	Content map[string]string // by absolute path
	Units   []string          // that are switched on
}

// Of gives the files for a stack. Folder is the stack's own on the server, docker the engine's root
// folder, private the server's private address; spec nil gives the names alone, as for a removal.
func Of(stack resource.StackID, folder, docker, private string, spec *resource.Sampling) (Files, error) {
	f := Files{Name: "cloudship-stats-" + string(stack), Folder: path.Join(folder, "stats")}
	if spec == nil {
		return f, nil
	}
	f.Content = map[string]string{path.Join(f.Folder, "stats"): script, path.Join(f.Folder, "stats.awk"): program}
	run := path.Join(f.Folder, "stats")
	const sandbox = "Nice=10\nLogLevelMax=warning\nNoNewPrivileges=yes\nPrivateTmp=yes\nProtectHome=yes\nMemoryMax=64M\n"
	if spec.History > 0 {
		f.Units = append(f.Units, f.Name+".timer")
		f.Content[unit(f.Name+".service")] = fmt.Sprintf("[Unit]\nDescription=cloudship: add a line to the history of what this server uses\n\n[Service]\nType=oneshot\nEnvironment=STATS_DOCKER=%s\nExecStart=%s sample %s %d %d %s\nTimeoutStartSec=30\n%s",
			docker, run, path.Join(f.Folder, "history"), spec.History, most, stack, sandbox)
		f.Content[unit(f.Name+".timer")] = fmt.Sprintf("[Unit]\nDescription=cloudship: measure this server\n\n[Timer]\nOnActiveSec=0\nOnUnitActiveSec=%ds\nAccuracySec=%s\n\n[Install]\nWantedBy=timers.target\n", spec.Every, accuracy(spec.Every))
	}
	if spec.Prometheus > 0 {
		listen := spec.Listen
		if listen == Private {
			listen = private
		}
		address, err := netip.ParseAddr(listen)
		if err != nil {
			return f, fmt.Errorf("stats: the server has no address %q to listen on", spec.Listen)
		}
		f.Units = append(f.Units, f.Name+"-prometheus.socket")
		f.Content[unit(f.Name+"-prometheus.socket")] = fmt.Sprintf("[Unit]\nDescription=cloudship: Prometheus asks what this server uses\n\n[Socket]\nListenStream=%s\nAccept=yes\nFreeBind=yes\nMaxConnections=8\n\n[Install]\nWantedBy=sockets.target\n",
			netip.AddrPortFrom(address, uint16(spec.Prometheus)))
		f.Content[unit(f.Name+"-prometheus@.service")] = fmt.Sprintf("[Unit]\nDescription=cloudship: tell Prometheus what this server uses\nCollectMode=inactive-or-failed\n\n[Service]\nEnvironment=STATS_DOCKER=%s\nExecStart=-%s serve\nStandardInput=socket\nStandardOutput=socket\nStandardError=journal\nRuntimeMaxSec=15\n%s",
			docker, run, sandbox)
	}
	return f, nil
}

func unit(name string) string { return "/etc/systemd/system/" + name }

// accuracy lets systemd gather what is to be done about the same time, where that is no matter.
func accuracy(every int64) string {
	if every < 30 {
		return "100ms"
	}
	return "5s"
}

// Digest tells whether the files on a server are these.
func (f Files) Digest() string {
	h := sha256.New()
	for _, name := range sortedKeys(f.Content) {
		_, _ = fmt.Fprintf(h, "%s\n%s\n%s\n", name, strconv.Itoa(len(f.Content[name])), f.Content[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Sums lists the files with their checksums, as sha256sum reads it.
func (f Files) Sums() string {
	var b strings.Builder
	for _, name := range sortedKeys(f.Content) {
		_, _ = fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256([]byte(f.Content[name])), name)
	}
	return b.String()
}

// Once is the command that prints one sample of a server, without its containers. Nothing of it is
// left there.
func Once() remote.Command {
	return remote.Script(`awk -v mode=line -v stack= -v root= -v now="$(date +%s)" -v fs="$(stat -f -c '%S %b %a %c %d' /)" "$1" </dev/null`, program)
}
