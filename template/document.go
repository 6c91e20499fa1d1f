package template

import (
	"encoding/json"
	"fmt"
	"time"
)

// Format is the version of the release document.
const Format = 1

// Release is one immutable rendering of a template. It is plain data and its JSON form is what
// state, plans and hosts keep. It holds no secret: see Text.
type Release struct {
	Format   int                `json:"format"`
	Template string             `json:"template"` // the template block's label
	Project  string             `json:"project"`  // Compose's project name: label of containers, prefix of names
	Services map[string]Service `json:"services,omitempty"`
	Networks map[string]Network `json:"networks,omitempty"`
	Volumes  map[string]Volume  `json:"volumes,omitempty"`
	Secrets  []string           `json:"secrets,omitempty"` // digests of all secret values in it, sorted
}

// Text is a string that may hold references to secrets, written ${secret:DIGEST}; see Reveal. Where
// a field's comment says "bound", it may also hold late references to containers; see Bind.
type Text string

// Service is one service of a release: what its containers are made from, and how they are
// brought up, checked, renewed and taken away.
type Service struct {
	Image       Image           `json:"image"`
	Command     []Text          `json:"command,omitempty"`    // nil: the image's; see Clear
	Entrypoint  []Text          `json:"entrypoint,omitempty"` // nil: the image's; see Clear
	Clear       []string        `json:"clear,omitempty"`      // "command", "entrypoint": set to nothing rather than left to the image
	Environment map[string]Text `json:"environment,omitempty"`
	Files       []File          `json:"files,omitempty"`  // configs, secrets and uploaded binds; sorted by path
	Mounts      []Mount         `json:"mounts,omitempty"` // sorted by target

	Networks    map[string]Attachment `json:"networks,omitempty"`     // by key of Release.Networks; empty with NetworkMode set
	NetworkMode string                `json:"network_mode,omitempty"` // host, none, service:NAME
	Ports       []Port                `json:"ports,omitempty"`
	PublishAll  bool                  `json:"publish_all,omitempty"` // every port that the image exposes, on random host ports
	Expose      []string              `json:"expose,omitempty"`
	ExtraHosts  []string              `json:"extra_hosts,omitempty"` // "name:address", sorted
	DNS         []string              `json:"dns,omitempty"`
	DNSSearch   []string              `json:"dns_search,omitempty"`
	DNSOptions  []string              `json:"dns_options,omitempty"`
	Hostname    string                `json:"hostname,omitempty"`
	Domainname  string                `json:"domainname,omitempty"`

	ContainerName string            `json:"container_name,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Restart       Restart           `json:"restart,omitzero"`
	StopSignal    string            `json:"stop_signal,omitempty"`
	StopGrace     *Duration         `json:"stop_grace,omitempty"` // nil: the engine's default of 10 s
	Logging       *Logging          `json:"logging,omitempty"`
	Resources     Resources         `json:"resources,omitzero"`
	Process       Process           `json:"process,omitzero"`
	Isolation     Isolation         `json:"isolation,omitzero"`

	Healthcheck *Healthcheck          `json:"healthcheck,omitempty"`
	Probe       *Probe                `json:"probe,omitempty"` // cloudship's own check, beside or instead of Healthcheck
	DependsOn   map[string]Dependency `json:"depends_on,omitempty"`
	Replicas    int                   `json:"replicas"`         // on each server; not part of the release's id
	Global      bool                  `json:"global,omitempty"` // deploy.mode global: exactly one on each server, never scaled
	Update      Update                `json:"update"`
	Rollback    *Update               `json:"rollback,omitempty"`
	Hooks       []Hook                `json:"hooks,omitempty"` // in the order in which they run
	Drain       *Drain                `json:"drain,omitempty"`
	Stateful    Stateful              `json:"stateful,omitempty"`
	PerServer   bool                  `json:"per_server,omitempty"` // each server may have its own data
	Host        []string              `json:"host,omitempty"`       // servers of the group that run it; empty: all. See OnServer
	Backup      *Backup               `json:"backup,omitempty"`
}

// Image is what a service's containers run, and where an engine gets it.
type Image struct {
	Name     string      `json:"name"`               // as the template names it, with tag: "docker.io/library/ruby:3.3"
	Digest   string      `json:"digest,omitempty"`   // of the manifest, "sha256:..."; empty in a release rendered without images
	Source   ImageSource `json:"source,omitempty"`   // how it is obtained
	Platform string      `json:"platform,omitempty"` // "linux/amd64"
}

// ImageSource says where an image comes from.
type ImageSource string

// Where images come from.
const (
	FromRegistry ImageSource = "registry" // pulled by the host's engine, by digest
	FromEngine   ImageSource = "engine"   // in the local engine only: sent over the connection
	FromBuild    ImageSource = "build"    // built by the local engine: sent over the connection
)

// Reference is the image by digest, "ruby@sha256:...", or its name while no digest is known.
func (i Image) Reference() string {
	if i.Digest == "" {
		return i.Name
	}
	return repository(i.Name) + "@" + i.Digest
}

// Restart is what the engine does when a container ends.
type Restart struct {
	Policy     string `json:"policy,omitempty"` // no, always, on-failure, unless-stopped
	MaxRetries int    `json:"max_retries,omitempty"`
}

// Logging is where container output goes.
type Logging struct {
	Driver  string            `json:"driver,omitempty"`
	Options map[string]string `json:"options,omitempty"`
}

// Healthcheck is the engine's check of a container.
type Healthcheck struct {
	Test          []Text    `json:"test,omitempty"` // as in Docker: NONE, CMD or CMD-SHELL first; empty: the image's own test
	Interval      *Duration `json:"interval,omitempty"`
	Timeout       *Duration `json:"timeout,omitempty"`
	Retries       int       `json:"retries,omitempty"`
	StartPeriod   *Duration `json:"start_period,omitempty"`
	StartInterval *Duration `json:"start_interval,omitempty"` // engines from API 1.44 on; left out before
}

// Disabled reports whether the service switches its image's check off.
func (h *Healthcheck) Disabled() bool {
	return h != nil && len(h.Test) > 0 && h.Test[0] == "NONE"
}

// Dependency is a condition on another service before a container may start.
type Dependency struct {
	Condition string `json:"condition"` // Started, Healthy or Completed
	Restart   bool   `json:"restart,omitempty"`
	Optional  bool   `json:"optional,omitempty"` // a failure of the other service is only told
}

// The conditions of a Dependency.
const (
	Started   = "started"
	Healthy   = "healthy"
	Completed = "completed" // it ran to its end with success
)

// Update is how the containers of a service are renewed. cloudship's default order is start-first,
// where Compose's is stop-first.
type Update struct {
	Order           string   `json:"order"`                 // StartFirst or StopFirst; Release.StopFirst tells what forces the latter
	Parallelism     int      `json:"parallelism,omitempty"` // 0: all at once
	Delay           Duration `json:"delay,omitempty"`       // between batches
	Monitor         Duration `json:"monitor,omitempty"`     // how long a new container is watched
	FailureAction   string   `json:"failure_action"`        // rollback (default), pause, continue
	MaxFailureRatio float64  `json:"max_failure_ratio,omitempty"`
}

// The orders of an Update.
const (
	StartFirst = "start-first"
	StopFirst  = "stop-first"
)

// Stateful says that containers of a service, or a volume, hold data.
type Stateful string

// What stateful may be.
const (
	SingleWriter Stateful = "single-writer" // never two containers at a time
	Shared       Stateful = "shared"        // several may use it at once
	Scratch      Stateful = "false"         // of a volume: what is in it can be lost, as a cache
)

// Duration is a time.Duration that is text in JSON: "1m30s".
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// Decode reads a document. A newer format is refused.
func Decode(document json.RawMessage) (*Release, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return nil, fmt.Errorf("release document: %w", err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("release document: format %d, this program reads %d", head.Format, Format)
	}
	var r Release
	if err := json.Unmarshal(document, &r); err != nil {
		return nil, fmt.Errorf("release document: %w", err)
	}
	return &r, nil
}

// Encode writes the document; the same release gives the same bytes.
func (r *Release) Encode() (json.RawMessage, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("release document: %w", err)
	}
	return b, nil
}
