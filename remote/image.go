package remote

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"
)

const (
	typeManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeConfig   = "application/vnd.docker.container.image.v1+json"
	typeLayer    = "application/vnd.docker.image.rootfs.diff.tar"
	typeGzip     = "application/vnd.docker.image.rootfs.diff.tar.gzip"

	// transferredDomain is in front of the names of transferred images. It
	// resolves nowhere: such an image comes from us or not at all.
	transferredDomain = "cloudship.local"
)

// Image is an image of the local engine, ready to be transferred to hosts. Its
// content is in the cache folder that it was made with.
//
// Its Digest is that of a manifest over the configuration and the uncompressed
// layers, and so depends on what the image is and not on who compressed it, and
// how, for the way: the same image has the same digest in every engine, on every
// machine and with every version of cloudship. What a host pulls is another
// manifest, over the compressed layers, of the same configuration; the engine
// checks both the layers and the configuration against each other.
type Image struct {
	// Name is the repository without registry and tag: shop/web.
	Name string
	// Digest is the digest of the manifest.
	Digest string
	// Platform is what it runs on: linux/amd64.
	Platform string
	// Size is the size of its uncompressed layers in bytes.
	Size int64

	config []byte
	layers []layer
}

// layer is one layer of an image and the file that holds it compressed.
type layer struct {
	DiffID     string `json:"diff_id"` // digest, uncompressed
	Size       int64  `json:"size"`    // uncompressed
	GzipDigest string `json:"gzip_digest"`
	GzipSize   int64  `json:"gzip_size"`

	path string
}

// Reference is the name under which hosts have the image once it was
// transferred to them.
func (i Image) Reference() string { return TransferredReference(i.Name, i.Digest) }

// TransferredReference is the name under which hosts have a transferred image, from what
// it is called in the local engine and its digest: web:2 with sha256:12... is
// cloudship.local/web:sha256-12... The digest is in the tag because a digest
// reference would hold the port of that transfer.
func TransferredReference(ref, digest string) string {
	return path.Join(transferredDomain, repository(ref)) + ":" + tagOf(digest)
}

func tagOf(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// descriptor and manifest are the parts of an image manifest, version 2.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	Digest    string `json:"digest"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// manifest is the image's manifest, over compressed or uncompressed layers.
func (i Image) manifest(compressed bool) []byte {
	m := manifest{
		SchemaVersion: 2,
		MediaType:     typeManifest,
		Config:        descriptor{typeConfig, int64(len(i.config)), digestOf(i.config)},
		Layers:        []descriptor{},
	}
	for _, l := range i.layers {
		if compressed {
			m.Layers = append(m.Layers, descriptor{typeGzip, l.GzipSize, l.GzipDigest})
		} else {
			m.Layers = append(m.Layers, descriptor{typeLayer, l.Size, l.DiffID})
		}
	}
	// A struct of strings and numbers always has its JSON.
	text, _ := json.Marshal(m)
	return text
}

// newImage puts an image together from its parts.
func newImage(name string, config []byte, layers []layer) (Image, error) {
	c, err := parseConfig(config)
	if err != nil {
		return Image{}, err
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return Image{}, fmt.Errorf("its configuration names %d layers, it has %d", len(c.RootFS.DiffIDs), len(layers))
	}
	image := Image{Name: name, Platform: c.platform(), config: config, layers: layers}
	for i, l := range layers {
		if l.DiffID != c.RootFS.DiffIDs[i] {
			return Image{}, fmt.Errorf("layer %d is %s, its configuration names %s", i+1, l.DiffID, c.RootFS.DiffIDs[i])
		}
		image.Size += l.Size
	}
	image.Digest = digestOf(image.manifest(false))
	return image, nil
}

// imageConfig is what matters to us of an image's configuration.
type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	RootFS       struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

func parseConfig(text []byte) (imageConfig, error) {
	var c imageConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return imageConfig{}, fmt.Errorf("its configuration: %w", err)
	}
	return c, nil
}

func (c imageConfig) platform() string { return c.OS + "/" + c.Architecture }

// LocalImage reads an image of the local engine into the cache folder, where
// its layers are kept compressed, and answers it. An image that is in the cache
// already is not read again. progress, if not nil, gets a line now and then.
func LocalImage(ctx context.Context, docker *client.Client, ref, cacheDir string, progress func(string)) (Image, error) {
	image, err := localImage(ctx, docker, ref, imageCache{cacheDir}, progress)
	if err != nil {
		return Image{}, fmt.Errorf("local image %s: %w", ref, err)
	}
	return image, nil
}

// CachedImage answers an image by the digest of its manifest from the cache folder, where it is kept
// after the local engine calls another one by its name. Where it is not, the error is
// fs.ErrNotExist.
func CachedImage(ref, digest, cacheDir string) (Image, error) {
	image, err := imageCache{cacheDir}.byDigest(repository(ref), digest)
	if err != nil {
		return Image{}, fmt.Errorf("image %s with digest %s: %w", ref, digest, err)
	}
	return image, nil
}

func localImage(ctx context.Context, docker *client.Client, ref string, cache imageCache, progress func(string)) (Image, error) {
	found, err := docker.ImageInspect(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	name := repository(ref)
	if image, err := cache.load(name, found.ID); err == nil {
		return image, nil
	}
	if progress != nil {
		progress(fmt.Sprintf("reading image %s from the local engine (%s)", ref, megabytes(found.Size)))
	}
	saved, err := docker.ImageSave(ctx, []string{ref})
	if err != nil {
		return Image{}, err
	}
	defer func() { _ = saved.Close() }()
	config, layers, err := cache.read(saved, found.Os+"/"+found.Architecture)
	if err != nil {
		return Image{}, err
	}
	image, err := newImage(name, config, layers)
	if err != nil {
		return Image{}, err
	}
	return image, cache.keep(found.ID, image)
}

// repository is a reference without registry, tag and digest. What cannot be
// read as one, as an id, gets a name that can.
func repository(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "image"
	}
	return strings.TrimPrefix(reference.Path(named), "library/")
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hexDigest(sum[:])
}
