package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	registry "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// engine connects to the Docker engine on this machine, where builds run and local images are.
func (s *Session) engine(ctx context.Context) (*client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local != nil {
		return s.local, nil
	}
	docker, err := client.New(client.FromEnv)
	if err == nil {
		_, err = docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	}
	if err != nil {
		return nil, resource.WithHint(fmt.Errorf("the Docker engine on this machine does not answer: %w", err),
			"start Docker here, or let all images come from a registry; 'cloudship doctor' tells more")
	}
	s.local = docker
	return docker, nil
}

// image finds out what an image is: it is built here, lies in the engine here, or is in a registry.
func (s *Session) image(ctx context.Context, r template.ImageRequest) (template.Image, error) {
	image := template.Image{Name: r.Name, Platform: r.Platform}
	if r.Build != nil {
		image.Source = template.FromBuild
		if err := s.build(ctx, r); err != nil {
			return image, err
		}
		return s.digest(ctx, image)
	}
	if r.PullPolicy == "never" {
		image.Source = template.FromEngine
		return s.digest(ctx, image)
	}
	digest, err := s.registryDigest(ctx, r.Name)
	if err == nil && onlyHere(r.Name) {
		image.Source = template.FromEngine
		if err := s.fetch(ctx, r.Name); err != nil {
			return image, err
		}
		return s.digest(ctx, image)
	}
	if err == nil {
		image.Source, image.Digest = template.FromRegistry, digest
		return image, nil
	}
	docker, engineErr := s.engine(ctx)
	if engineErr != nil {
		return image, err
	}
	if _, lookErr := docker.ImageInspect(ctx, r.Name); lookErr != nil {
		return image, err
	}
	s.say("image %s: its registry does not answer, the one in the local engine is taken", r.Name)
	image.Source = template.FromEngine
	return s.digest(ctx, image)
}

// build makes the image of a service, unless --no-build wants the last one.
func (s *Session) build(ctx context.Context, r template.ImageRequest) error {
	docker, err := s.engine(ctx)
	if err != nil {
		return err
	}
	if s.options.NoBuild {
		if _, err := docker.ImageInspect(ctx, r.Name); errdefs.IsNotFound(err) {
			return resource.WithHint(fmt.Errorf("image %s was never built here", r.Name), "leave --no-build away")
		} else if err != nil {
			return fmt.Errorf("look for image %s: %w", r.Name, err)
		}
		return nil
	}
	what := "build " + r.Name
	s.say("building %s for %s", r.Name, strings.Join(r.Services, ", "))
	defer s.busy(what)()
	return deploy.Build(ctx, docker, r.Build, r.Secrets, []string{r.Name}, func(line string) { s.detail(what, line) })
}

// digest is the identity of an image of the local engine: that of the manifest by which it is
// handed to servers.
func (s *Session) digest(ctx context.Context, image template.Image) (template.Image, error) {
	docker, err := s.engine(ctx)
	if err != nil {
		return image, err
	}
	local, err := remote.LocalImage(ctx, docker, image.Name, cache(), func(line string) { s.say("%s", line) })
	if err != nil {
		return image, err
	}
	image.Digest = local.Digest
	return image, nil
}

// registryDigest asks an image's registry for the digest of its manifest.
func (s *Session) registryDigest(ctx context.Context, image string) (string, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", image, err)
	}
	if d, ok := ref.(name.Digest); ok {
		return d.DigestStr(), nil
	}
	user, password, err := s.auth(ctx, ref.Context().RegistryStr())
	if err != nil {
		return "", err
	}
	options := []registry.Option{registry.WithContext(ctx), registry.WithUserAgent("cloudship")}
	if user != "" || password != "" {
		options = append(options, registry.WithAuth(&authn.Basic{Username: user, Password: password}))
	} else {
		options = append(options, registry.WithAuthFromKeychain(authn.DefaultKeychain))
	}
	descriptor, err := registry.Head(ref, options...)
	if err != nil {
		return "", resource.WithHint(fmt.Errorf("image %s: %w", image, err),
			"is the name right, and may you read it? Credentials belong into a registry block of the stack file")
	}
	return descriptor.Digest.String(), nil
}

// auth gives the credentials for a registry: those of a registry block, or none.
func (s *Session) auth(ctx context.Context, server string) (user, password string, err error) {
	for _, r := range s.stack.Registries {
		if r.Server != server && !(r.Server == "docker.io" && server == "index.docker.io") {
			continue
		}
		switch {
		case r.Password.Text != "":
			return r.Username.Text, r.Password.Text, nil
		case len(r.Command) > 0:
			password, err = s.printed(ctx, r.Command)
			if err == nil && password == "" {
				err = errors.New("it printed nothing")
			}
			if err != nil {
				return "", "", fmt.Errorf("registry %s: its password command: %w", r.Name, err)
			}
			return r.Username.Text, password, nil
		}
	}
	ref, err := name.NewRegistry(server)
	if err != nil {
		return "", "", fmt.Errorf("registry %q: %w", server, err)
	}
	found, err := authn.DefaultKeychain.Resolve(ref)
	if err != nil || found == authn.Anonymous {
		return "", "", nil
	}
	config, err := found.Authorization()
	if err != nil {
		return "", "", fmt.Errorf("registry %s: %w", server, err)
	}
	s.options.Redactor.Add(config.Password)
	return config.Username, config.Password, nil
}

// onlyHere reports whether an image's registry listens on this machine's loopback: servers cannot
// reach it, so its images are handed to them.
func onlyHere(image string) bool {
	ref, err := name.ParseReference(image)
	if err != nil {
		return false
	}
	host := ref.Context().RegistryStr()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fetch makes sure that the engine here has an image.
func (s *Session) fetch(ctx context.Context, image string) error {
	docker, err := s.engine(ctx)
	if err != nil {
		return err
	}
	if _, err := docker.ImageInspect(ctx, image); err == nil {
		return nil
	}
	auth, err := deploy.RegistryAuth(ctx, s.auth, image)
	if err != nil {
		return err
	}
	answer, err := docker.ImagePull(ctx, image, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		defer func() { _ = answer.Close() }()
		err = answer.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("pull %s: %w", image, err)
	}
	return nil
}
