package deploy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// fetchImages gets the images of a release onto the server and gives, per service, the name by
// which the engine there knows its image.
func (d *releases) fetchImages(ctx context.Context, host *remote.Host, e *engine, r *template.Release, say func(string)) (map[string]string, error) {
	names := map[string]string{}
	var handed []remote.Image
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		image := r.Services[service].Image
		if image.Source == template.FromRegistry {
			name, err := d.pull(ctx, e, image, say)
			if err != nil {
				return nil, fmt.Errorf("service %s: %w", service, err)
			}
			names[service] = name
			continue
		}
		one, err := d.local(ctx, e, image, say)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", service, err)
		}
		names[service] = one.Name()
		handed = append(handed, one.image...)
	}
	if len(handed) == 0 {
		return names, nil
	}
	if err := host.Transfer(ctx, handed, say); err != nil {
		return nil, err
	}
	return names, nil
}

// pull lets the server's engine pull an image by digest. Credentials go with the request and are
// kept nowhere.
func (d *releases) pull(ctx context.Context, e *engine, image template.Image, say func(string)) (string, error) {
	name := image.Reference()
	if _, err := e.ImageInspect(ctx, name); err == nil {
		return name, nil
	} else if !errdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %s: %w", name, err)
	}
	auth, err := RegistryAuth(ctx, d.options.Auths, name)
	if err != nil {
		return "", err
	}
	say("pulling " + name)
	answer, err := e.ImagePull(ctx, name, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		return "", pullError(name, err)
	}
	defer func() { _ = answer.Close() }()
	if err := answer.Wait(ctx); err != nil {
		return "", pullError(name, err)
	}
	return name, nil
}

// pullError says what a registry's refusal means.
func pullError(name string, err error) error {
	wrapped := fmt.Errorf("pull %s: %w", name, err)
	text := err.Error()
	if errdefs.IsUnauthorized(err) || strings.Contains(text, "unauthorized") || strings.Contains(text, "denied") || strings.Contains(text, "authentication required") {
		return resource.WithHint(wrapped, "the registry refused: name it in a registry block of the stack file, with a user name and password that may pull this image")
	}
	return wrapped
}

// RegistryAuth is the header with the credentials for an image's registry, empty for none.
func RegistryAuth(ctx context.Context, auths Auths, name string) (string, error) {
	if auths == nil {
		return "", nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	host := reference.Domain(named)
	user, password, err := auths(ctx, host)
	if err != nil || user == "" && password == "" {
		return "", err
	}
	b, err := json.Marshal(registry.AuthConfig{Username: user, Password: password, ServerAddress: host})
	if err != nil {
		return "", err
	}
	return base64.URLEncoding.EncodeToString(b), nil
}

// localImage is an image that the server has already, or that is handed over.
type localImage struct {
	name  string
	image []remote.Image // empty when the server has it
}

func (l localImage) Name() string { return l.name }

// local finds an image of this machine's engine: on the server, where it was handed over before,
// or here, to be handed over.
func (d *releases) local(ctx context.Context, e *engine, image template.Image, say func(string)) (localImage, error) {
	name, err := transferred(image)
	if err != nil {
		return localImage{}, err
	}
	if _, err := e.ImageInspect(ctx, name); err == nil {
		return localImage{name: name}, nil
	} else if !errdefs.IsNotFound(err) {
		return localImage{}, fmt.Errorf("look for image %s: %w", name, err)
	}
	// One at a time: servers that want the same image would read it from the engine together.
	d.reading.Lock()
	defer d.reading.Unlock()
	if one, err := remote.CachedImage(image.Name, image.Digest, d.options.Cache); err == nil {
		return localImage{name: name, image: []remote.Image{one}}, nil
	}
	docker, err := d.options.Local(ctx)
	if err != nil {
		return localImage{}, err
	}
	one, err := remote.LocalImage(ctx, docker, image.Name, d.options.Cache, say)
	if err != nil {
		return localImage{}, err
	}
	if one.Digest != image.Digest {
		return localImage{}, resource.WithHint(
			fmt.Errorf("image %s is %s in the local engine by now, the release has %s", image.Name, one.Digest, image.Digest),
			"the release was built elsewhere, or before the cache was emptied: build what it was made from again, or release what is there now")
	}
	return localImage{name: name, image: []remote.Image{one}}, nil
}

// transferred is the name by which a server has an image that was handed over to it.
func transferred(image template.Image) (string, error) {
	named, err := reference.ParseNormalizedNamed(image.Name)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", image.Name, err)
	}
	return remote.TransferredReference(strings.TrimPrefix(reference.Path(named), "library/"), image.Digest), nil
}
