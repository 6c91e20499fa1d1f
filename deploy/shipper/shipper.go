// Package shipper makes the service that sends the lines in a server's journal on: syslog-ng, which
// Debian and others keep well, under a configuration of ours. It reads the journal and keeps its
// place in a volume. A line counts as sent when the sink has taken it, so that nothing is lost while
// the sink or the shipper is away: until then the journal keeps it.
package shipper

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/template"
)

// Name is the service's, and the key of its volume.
const Name = "cloudship-logs"

// Defaults.
const (
	Image  = "docker.io/balabit/syslog-ng:4.8.1"
	Memory = 64 << 20
)

// Where things are in the shipper's container.
const (
	configPath = "/etc/cloudship/logs.conf"
	placePath  = "/var/lib/syslog-ng"
)

// Sink is where lines go, and what the shipper may use.
type Sink struct {
	Kind   string // http, loki, syslog or file
	URL    string // of all but file; it may be secret
	Secret bool   // the URL must not be seen
	Path   string // of file, on the server
	Memory int64  // bytes; 0: Memory
}

// Journal says which lines of a journal are a stack's.
type Journal struct {
	Stack string // the stack's id, as the containers' label has it
}

// Add puts the shipper into a release, with the image that it is to run. The caller digests a URL
// that is secret: what must be revealed comes back by its digest.
func Add(r *template.Release, image template.Image, j Journal, s Sink, digest func(string) string) (secrets map[string]string, err error) {
	if _, taken := r.Services[Name]; taken {
		return nil, fmt.Errorf("template %s has a service of the name %q, which the log block's shipper has", r.Template, Name)
	}
	secrets = map[string]string{}
	url := s.URL
	if s.Secret {
		d := digest(url)
		secrets[d] = url
		url = "${secret:" + d + "}"
		r.Secrets = append(r.Secrets, d)
		slices.Sort(r.Secrets)
		r.Secrets = slices.Compact(r.Secrets)
	}
	config, err := s.config(j, url)
	if err != nil {
		return nil, err
	}
	if r.Services == nil {
		r.Services = map[string]template.Service{}
	}
	if r.Volumes == nil {
		r.Volumes = map[string]template.Volume{}
	}
	r.Volumes[Name] = template.Volume{Name: r.Project + "_" + Name, Stateful: template.Scratch, PerServer: true}
	r.Services[Name] = s.service(r, image, config)
	return secrets, nil
}

// service is the shipper as a service. One that is renewed stops first: two must not write down
// their place in the same file.
func (s Sink) service(r *template.Release, image template.Image, config string) template.Service {
	memory := s.Memory
	if memory == 0 {
		memory = Memory
	}
	mounts := []template.Mount{
		{Type: template.MountBind, Source: "/etc/machine-id", Target: "/etc/machine-id", ReadOnly: true},
		{Type: template.MountTmpfs, Target: "/run", Size: 1 << 20, Mode: 0o755},
		{Type: template.MountVolume, Source: Name, Target: placePath},
		{Type: template.MountBind, Source: "/var/log/journal", Target: "/var/log/journal", ReadOnly: true, CreatePath: true},
	}
	if s.Kind == "file" {
		folder := path.Dir(s.Path)
		mounts = append(mounts, template.Mount{Type: template.MountBind, Source: folder, Target: "/sink", CreatePath: true})
	}
	slices.SortFunc(mounts, func(a, b template.Mount) int { return strings.Compare(a.Target, b.Target) })
	service := template.Service{
		Image:      image,
		Entrypoint: []template.Text{"/usr/sbin/syslog-ng"},
		Command: []template.Text{
			"--foreground", "--no-caps", "--cfgfile=" + configPath, "--persist-file=" + placePath + "/cloudship.persist", "--control=/run/syslog-ng.ctl", "--pidfile=/run/syslog-ng.pid",
		},
		Files:     []template.File{{Path: configPath, Content: template.Text(config), Secret: s.Secret, Mode: 0o600}},
		Mounts:    mounts,
		Restart:   template.Restart{Policy: "always"},
		Resources: template.Resources{Memory: memory},
		Process:   template.Process{User: "0:0"},
		Isolation: template.Isolation{ReadOnly: true, CapDrop: []string{"ALL"}, SecurityOpts: []string{"no-new-privileges", "label=disable"}},
		Replicas:  1, Global: true, PerServer: true,
		Update: template.Update{Order: template.StopFirst, FailureAction: "rollback"},
	}
	if n := network(r); n != "" {
		service.Networks = map[string]template.Attachment{n: {}}
	}
	return service
}

// network is the one in which a sink among the template's own services is found: its default, or the
// first that leads outside.
func network(r *template.Release) string {
	if n, ok := r.Networks["default"]; ok && !n.Internal {
		return "default"
	}
	for _, key := range slices.Sorted(maps.Keys(r.Networks)) {
		if !r.Networks[key].Internal {
			return key
		}
	}
	return ""
}

var errKind = errors.New("the sink must be http, loki, syslog or file")

// quoted is a text as syslog-ng's configuration has it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
