package template

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options says what to render.
type Options struct {
	Name     string           // the template block's label
	Dir      string           // the stack's folder; relative paths start here
	Compose  []string         // Compose files, later ones override; empty: compose.yaml and its other customary names in Dir
	Project  string           // Compose's project name; empty: the file's name:, else Name
	Inputs   map[string]Input // what ${NAME} stands for; nothing is taken from this process's environment
	Profiles []string         // Compose profiles that are on

	// Digest gives the keyed digest by which a secret value is named. Without it, digests are good
	// for this process only: enough to validate, not to keep.
	Digest func(value string) string

	// Random gives the random value of a place, of so many letters and digits: the same one at
	// every call, for as long as the stack lives. Without it, a placeholder is taken.
	Random func(place string, length int) (string, error)

	// Images finds out what an image is. Without it, the release has no digests: enough to
	// validate and to show, not to deploy.
	Images func(ctx context.Context, r ImageRequest) (Image, error)
}

// Input is one value of a template's inputs.
type Input struct {
	Value     string
	Sensitive bool // it must appear in the release by digest only
}

// ImageRequest asks for the image of one or more services.
type ImageRequest struct {
	Services   []string // sorted
	Name       string   // fully written, with tag or digest: "docker.io/library/ruby:3.3"
	Platform   string   // "linux/amd64"; empty: the server's
	PullPolicy string   // as in Compose; "never": only the local engine may have it
	Build      *Build   // set when the image is to be built

	// Secrets are the values that Build refers to, by digest: not to be stored or shown.
	Secrets map[string]string
}

// Build describes how the local engine makes an image. It is not part of a release, whose image
// is named by the digest of the result.
type Build struct {
	Context          string          `json:"context"`              // absolute folder, or a git URL
	Dockerfile       string          `json:"dockerfile,omitempty"` // relative to the context, or absolute
	DockerfileInline string          `json:"dockerfile_inline,omitempty"`
	Target           string          `json:"target,omitempty"`
	Args             map[string]Text `json:"args,omitempty"`    // may refer to secrets
	Secrets          map[string]Text `json:"secrets,omitempty"` // build secrets by id
	Labels           Labels          `json:"labels,omitempty"`
	Contexts         Labels          `json:"contexts,omitempty"` // additional contexts by name
	CacheFrom        []string        `json:"cache_from,omitempty"`
	ExtraHosts       []string        `json:"extra_hosts,omitempty"`
	Network          string          `json:"network,omitempty"`
	Platforms        []string        `json:"platforms,omitempty"`
	NoCache          bool            `json:"no_cache,omitempty"`
	Pull             bool            `json:"pull,omitempty"`
	ShmSize          int64           `json:"shm_size,omitempty"`
	Tags             []string        `json:"tags,omitempty"` // beside the name; may hold {{timestamp}}, {{date}}, {{sha}}
	Push             string          `json:"push,omitempty"` // name of the registry block that the result is pushed to
}

// Labels are names with values.
type Labels map[string]string

// Rendered is a release and what goes with it.
type Rendered struct {
	Release   *Release
	ID        string
	Secrets   map[string]string // the values by digest: to be sealed, never stored or shown as they are
	Sensitive []string          // the digests whose values must be kept out of all output, however short; the others are uploaded files and ordinary words of env files
	Images    map[string]string // service to image by digest
	Builds    map[string]*Build // service to its build
	Warnings  Diagnostics
}

// customary lists the names under which Compose looks for its file.
var customary = []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}

// FileNames are the customary names of a Compose file, in the order in which they are looked for.
func FileNames() []string { return slices.Clone(customary) }

// files are the absolute paths of the Compose files.
func (o Options) files() ([]string, *Diagnostic) {
	if len(o.Compose) == 0 {
		for _, name := range customary {
			path := filepath.Join(o.Dir, name)
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return []string{path}, nil
			}
		}
		return nil, &Diagnostic{Severity: SeverityError, Message: "no Compose file in " + o.Dir + ", want one of " + strings.Join(customary, ", "), Hint: `name it in the template block: compose = "compose.yaml"`}
	}
	var paths []string
	for _, name := range o.Compose {
		if !filepath.IsAbs(name) {
			name = filepath.Join(o.Dir, name)
		}
		paths = append(paths, name)
	}
	return paths, nil
}
