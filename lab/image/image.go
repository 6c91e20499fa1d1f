// Package image makes the images that the lab's servers run from, and the base
// image of the examples, on the local Docker engine. It needs no registry: a
// base is pulled where one can be reached, else it is made from Debian's
// packages. What was made once is found again by a hash of all that goes in.
package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"
)

// Base is the image that the examples' own Dockerfiles start from.
const Base = "debian:bookworm"

// repository is where the server images are named, without their slug.
const repository = "cloudship-lab/"

// ErrUnknown is wrapped when the lab has no image of a name.
var ErrUnknown = errors.New("no such image in the lab")

// recipe says how a server image is made.
type recipe struct {
	codename   string // of the Debian release
	from       string // slug of the server image it starts from; empty: Debian itself
	dockerfile string
}

var recipes = map[string]recipe{
	"debian-12-x64": {codename: "bookworm", dockerfile: "Dockerfile.debian"},
	"debian-13-x64": {codename: "trixie", dockerfile: "Dockerfile.debian"},
	"docker-20-04":  {codename: "bookworm", from: "debian-12-x64", dockerfile: "Dockerfile.docker"},
}

// bases are the images of Debian itself; each has a second name.
var bases = map[string][2]string{
	"bookworm": {Base, "debian:12"},
	"trixie":   {"debian:trixie", "debian:13"},
}

// Slugs lists the server images that Ensure can make, sorted.
func Slugs() []string {
	var slugs []string
	for slug := range recipes {
		slugs = append(slugs, slug)
	}
	slices.Sort(slugs)
	return slugs
}

// making lets one image be made at a time: a second one would only wait for
// the same processor, and often for the same image.
var making = make(chan struct{}, 1)

// Ensure makes the server image of a slug, such as "debian-12-x64", if it is
// not there or what goes into it has changed, and returns its reference. The
// first time takes a minute or two; progress gets a line per step and may be
// nil. It answers ErrUnknown for a slug that is not among Slugs.
func Ensure(ctx context.Context, slug string, progress func(string)) (ref string, err error) {
	if _, ok := recipes[slug]; !ok {
		return "", fmt.Errorf("image %s: %w (have %s)", slug, ErrUnknown, strings.Join(Slugs(), ", "))
	}
	err = with(ctx, progress, func(m *maker) error {
		ref, err = m.server(ctx, slug)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("image %s: %w", slug, err)
	}
	return ref, nil
}

// EnsureBase makes debian:bookworm (and debian:12) available on the local
// engine. The first time takes up to a minute; progress may be nil.
func EnsureBase(ctx context.Context, progress func(string)) error {
	err := with(ctx, progress, func(m *maker) error {
		_, err := m.base(ctx, "bookworm")
		return err
	})
	if err != nil {
		return fmt.Errorf("image %s: %w", Base, err)
	}
	return nil
}

// maker makes images on one engine.
type maker struct {
	docker   *client.Client
	progress func(string)
	apt      aptSetup
}

func with(ctx context.Context, progress func(string), do func(*maker) error) error {
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	defer docker.Close()
	if progress == nil {
		progress = func(string) {}
	}
	select {
	case making <- struct{}{}:
		defer func() { <-making }()
	case <-ctx.Done():
		return ctx.Err()
	}
	apt, err := readApt(ctx, "/")
	if err != nil {
		return fmt.Errorf("read how packages are fetched here: %w", err)
	}
	return do(&maker{docker: docker, progress: progress, apt: apt})
}
