package template

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Render reads a template and makes a release of it. An error in the user's files is of type
// Diagnostics; one of Options.Images is wrapped with the image's name.
func Render(ctx context.Context, o Options) (*Rendered, error) {
	t, err := Load(ctx, o)
	if err != nil {
		return nil, err
	}
	images := map[string]Image{}
	if o.Images != nil {
		for _, request := range t.Requests() {
			image, err := o.Images(ctx, request)
			if err != nil {
				return nil, fmt.Errorf("template %s: image %s of service %s: %w", o.Name, request.Name, strings.Join(request.Services, ", "), err)
			}
			for _, service := range request.Services {
				images[service] = image
			}
		}
	}
	return t.Release(images)
}

// Requests lists the images that the release needs, each once.
func (t *Template) Requests() []ImageRequest {
	list := slices.Clone(t.requests)
	for i, request := range list {
		if request.Build == nil {
			continue
		}
		list[i].Secrets = map[string]string{}
		for _, texts := range []map[string]Text{request.Build.Args, request.Build.Secrets} {
			for _, text := range texts {
				for _, digest := range t.digests(string(text)) {
					list[i].Secrets[digest] = t.vault.values[digest]
				}
			}
		}
	}
	return list
}

// Release makes the release with the images of its services. A service without one keeps its
// image's name only.
func (t *Template) Release(images map[string]Image) (*Rendered, error) {
	document, err := t.release.Encode()
	if err != nil {
		return nil, err
	}
	r, err := Decode(document)
	if err != nil {
		return nil, err
	}
	out := &Rendered{Release: r, Secrets: map[string]string{}, Images: map[string]string{}, Builds: t.builds, Warnings: t.warnings}
	for name, s := range r.Services {
		if image, ok := images[name]; ok {
			set(&image.Platform, s.Image.Platform)
			if image.Name == "" {
				image.Name = s.Image.Name
			}
			s.Image = image
			r.Services[name] = s
		}
		out.Images[name] = s.Image.Reference()
	}
	r.Secrets = t.digests(string(document))
	for _, digest := range r.Secrets {
		out.Secrets[digest] = t.vault.values[digest]
		if t.vault.sensitive[digest] {
			out.Sensitive = append(out.Sensitive, digest)
		}
	}
	out.ID, err = r.ID()
	return out, err
}

// digests lists the secrets that a document refers to. Sorted, each once.
func (t *Template) digests(document string) []string {
	return slices.DeleteFunc(SecretsOf(Text(document)), func(digest string) bool {
		_, ours := t.vault.values[digest]
		return !ours
	})
}

// secretsPlaced refuses sensitive values in places that everybody can read: everything that is no
// Text.
func (r *report) secretsPlaced(release *Release) {
	b, err := json.Marshal(release)
	var plain any
	if err != nil || json.Unmarshal(b, &plain) != nil {
		r.errorf(nil, "the release cannot be written: %v", err)
		return
	}
	at, names := r.vault.leaks(plain, nil)
	if names == nil {
		return
	}
	d := r.errorf(at, "%s: %s would be readable here by everybody", strings.Join(at, "."), strings.Join(names, ", "))
	d.Hint = "sensitive values belong in environment, command, healthcheck, hooks, configs or secrets"
}
