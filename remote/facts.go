package remote

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Facts are what a host is found to be. Sizes are in bytes.
type Facts struct {
	Hostname string
	// Distribution is the ID of os-release (debian, ubuntu, rocky), Like its
	// ID_LIKE, Release its VERSION_ID and Codename its VERSION_CODENAME.
	Distribution, Like, Release, Codename string
	Kernel, Architecture                  string
	CPUs                                  int
	Memory                                int64
	// DiskFree is what is free where Docker keeps its data.
	DiskFree int64
	// Docker is the engine's version and DockerAPI the newest version of its
	// API; both are empty where no engine answers.
	Docker, DockerAPI string
}

// factsScript prints one "name=value" a line.
const factsScript = `. /etc/os-release 2>/dev/null || . /usr/lib/os-release
data=/var/lib/docker
[ -d "$data" ] || data=/var/lib
echo "hostname=$(uname -n)"
echo "distribution=${ID:-}"
echo "like=${ID_LIKE:-}"
echo "release=${VERSION_ID:-}"
echo "codename=${VERSION_CODENAME:-}"
echo "kernel=$(uname -r)"
echo "architecture=$(uname -m)"
echo "cpus=$(getconf _NPROCESSORS_ONLN)"
echo "memory=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)"
echo "disk=$(df -Pk "$data" | awk 'NR == 2 { print $4 }')"`

// Facts asks the host what it is. A host without Docker is no error.
func (h *Host) Facts(ctx context.Context) (Facts, error) {
	out, err := h.Run(ctx, Script(factsScript))
	if err != nil {
		return Facts{}, fmt.Errorf("gather facts: %w", err)
	}
	facts, err := parseFacts(string(out.Stdout))
	if err != nil {
		return Facts{}, fmt.Errorf("gather facts of %s: %w", h.target.Address, err)
	}
	facts.Docker, facts.DockerAPI = h.dockerVersion(ctx)
	return facts, nil
}

func parseFacts(text string) (Facts, error) {
	var f Facts
	words := map[string]*string{
		"hostname": &f.Hostname, "distribution": &f.Distribution, "like": &f.Like, "release": &f.Release,
		"codename": &f.Codename, "kernel": &f.Kernel, "architecture": &f.Architecture,
	}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !found {
			continue
		}
		if word := words[name]; word != nil {
			*word = value
			continue
		}
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return Facts{}, fmt.Errorf("%s is no number: %q", name, value)
		}
		switch name {
		case "cpus":
			f.CPUs = int(number)
		case "memory":
			f.Memory = number << 10
		case "disk":
			f.DiskFree = number << 10
		}
	}
	return f, nil
}
