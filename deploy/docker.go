package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// putDocker makes a server ready for releases: its own host key under our certificate, the users'
// keys, and a Docker engine that answers. It may be repeated and be killed anywhere.
func (h *Hosts) putDocker(ctx context.Context, c resource.Call, mark resource.Mark, spec *resource.DockerSpec) (*resource.Found, error) {
	server, ok := c.Peers[spec.Server]
	if !ok {
		return nil, fmt.Errorf("%s: its server %s is not known", mark.Address, spec.Server)
	}
	say := func(line string) { c.Say(mark.Address, line) }
	say("reaching " + or(server.Facts.PublicIP, string(server.ID)))
	host, err := h.Reach(ctx, server, false, say)
	if err != nil {
		return nil, err
	}
	if server.Facts.Access == nil { // one that existed before has its own host key and its own keys
		if err := h.makeOurs(ctx, host, server.Mark, spec.Keys, say); err != nil {
			return nil, err
		}
	}
	_, err = host.Bootstrap(ctx, remote.BootstrapOptions{DockerRepository: spec.Package == "docker", Progress: say})
	if err != nil {
		return nil, err
	}
	if err := putJournal(ctx, h.folder(host), spec.Log, say); err != nil {
		return nil, err
	}
	if err := h.putSampling(ctx, host, server, spec.Stats, say); err != nil {
		return nil, err
	}
	if err := h.folder(host).write(ctx, serverFile{Mark: server.Mark}, "server.json"); err != nil {
		return nil, err
	}
	return h.lookDocker(ctx, host, server)
}

// makeOurs gives a server its own host key under our certificate, and lets the users log in.
func (h *Hosts) makeOurs(ctx context.Context, host *remote.Host, mark resource.Mark, keys []string, say func(string)) error {
	if !host.Certified() {
		if err := host.WaitCloudInit(ctx, say); err != nil {
			return err
		}
		say("enrolling: the host makes its own key, our CA signs it")
		if err := host.Enroll(ctx, h.options.Keys.CA(), mark.Encode()); err != nil {
			return err
		}
	}
	return authorize(ctx, host, keys)
}

// lookDocker finds Docker on a server, or nil where the server was not made ready to the end.
func (h *Hosts) lookDocker(ctx context.Context, host *remote.Host, server resource.Found) (*resource.Found, error) {
	var ready serverFile
	if ok, err := h.folder(host).read(ctx, &ready, "server.json"); err != nil || !ok {
		return nil, err
	}
	if ready.Mark != server.Mark {
		return nil, nil // a copy of another server's disk
	}
	facts, err := host.Facts(ctx)
	if err != nil {
		return nil, err
	}
	journal, err := lookJournal(ctx, h.folder(host))
	if err != nil {
		return nil, err
	}
	sampling, _, err := h.lookSampling(ctx, host)
	if err != nil {
		return nil, err
	}
	a := server.Mark.Address
	found := &resource.Found{
		Mark:     resource.Mark{Stack: server.Mark.Stack, Address: resource.DockerOn(a.Name, a.Index), Generation: server.Mark.Generation},
		ID:       server.ID,
		Spec:     &resource.DockerSpec{Server: a, Log: journal, Stats: sampling},
		Observed: []string{"server", "log", "stats"},
		Ready:    true,
		Facts: resource.Facts{
			Enrolled: host.Certified(),
			Host: &resource.HostFacts{
				Distribution:  facts.Distribution + " " + facts.Release,
				CPUs:          facts.CPUs,
				MemoryMB:      int(facts.Memory >> 20),
				DockerVersion: facts.Docker,
				APIVersion:    facts.DockerAPI,
			},
		},
	}
	if server.Facts.Access == nil {
		keys, err := authorized(ctx, host)
		if err != nil {
			return nil, err
		}
		found.Spec, found.Observed = &resource.DockerSpec{Server: a, Keys: keys, Log: journal, Stats: sampling}, []string{"server", "keys", "log", "stats"}
	}
	if facts.Docker == "" {
		found.Broken = "Docker does not answer"
		return found, nil
	}
	if found.Facts.Host.Volumes, err = h.volumes(ctx, host); err != nil {
		return nil, err
	}
	found.Facts.Host.Neighbours, err = h.neighbours(ctx, host)
	return found, err
}

const keysBegin, keysEnd = "# cloudship: users' keys", "# cloudship: end of users' keys"

// authorizeScript replaces the block of users' keys in authorized_keys, in one motion. Keys that
// somebody else put there stay.
const authorizeScript = `set -e
umask 077
mkdir -p ~/.ssh
file=~/.ssh/authorized_keys
touch "$file"
new=$(mktemp ~/.ssh/authorized_keys.XXXXXX)
awk -v begin="$1" -v end="$2" '$0 == begin {skip=1} !skip {print} $0 == end {skip=0}' "$file" > "$new"
{ echo "$1"; cat; echo "$2"; } >> "$new"
mv "$new" "$file"`

// authorize lets the users log in.
func authorize(ctx context.Context, host *remote.Host, keys []string) error {
	now, err := authorized(ctx, host)
	if err != nil {
		return err
	}
	want := slices.Clone(keys)
	slices.Sort(want)
	if slices.Equal(now, want) {
		return nil
	}
	var lines strings.Builder
	for _, key := range want {
		lines.WriteString(key + "\n")
	}
	_, err = host.Run(ctx, remote.Script(authorizeScript, keysBegin, keysEnd).WithStdin([]byte(lines.String())))
	return err
}

// authorized reads the users' keys that are there, sorted.
func authorized(ctx context.Context, host *remote.Host) ([]string, error) {
	out, err := host.Run(ctx, remote.Script(`cat ~/.ssh/authorized_keys 2>/dev/null || true`))
	if err != nil {
		return nil, err
	}
	var keys []string
	inside := false
	for _, line := range strings.Split(string(out.Stdout), "\n") {
		switch {
		case line == keysBegin:
			inside = true
		case line == keysEnd:
			inside = false
		case inside && strings.TrimSpace(line) != "":
			keys = append(keys, line)
		}
	}
	slices.Sort(keys)
	return keys, nil
}
