package remote

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// imageCache is a folder of compressed layers and of images known by the id
// that their engine gave them:
//
//	layers/HEX.tar.gz  a layer, by the digest of its uncompressed content
//	layers/HEX.json    its digests and sizes
//	images/HEX.json    an image, by the engine's id
//
// Files are written aside and renamed, so that processes may share it.
type imageCache struct{ dir string }

// cachedImage is an image as the cache keeps it.
type cachedImage struct {
	Config string   `json:"config"`
	Layers []string `json:"layers"`
}

// load answers the image that an engine calls id, if all of it is there.
func (c imageCache) load(name, id string) (Image, error) {
	text, err := os.ReadFile(c.path("images", id, ".json"))
	if err != nil {
		return Image{}, err
	}
	var cached cachedImage
	if err := json.Unmarshal(text, &cached); err != nil {
		return Image{}, err
	}
	layers := make([]layer, len(cached.Layers))
	for i, diffID := range cached.Layers {
		if layers[i], err = c.layer(diffID); err != nil {
			return Image{}, err
		}
	}
	return newImage(name, []byte(cached.Config), layers)
}

// byDigest answers an image that was read at some time, whatever the engine calls by its name now.
func (c imageCache) byDigest(name, digest string) (Image, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, "images"))
	if err != nil {
		return Image{}, err
	}
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok {
			continue
		}
		if image, err := c.load(name, id); err == nil && image.Digest == digest {
			return image, nil
		}
	}
	return Image{}, fs.ErrNotExist
}

// keep remembers an image by the engine's id.
func (c imageCache) keep(id string, image Image) error {
	cached := cachedImage{Config: string(image.config)}
	for _, l := range image.layers {
		cached.Layers = append(cached.Layers, l.DiffID)
	}
	return writeJSON(c.path("images", id, ".json"), cached)
}

// read takes the parts of a saved image in. Layers that are there already are
// not compressed again.
func (c imageCache) read(saved io.Reader, platform string) (config []byte, layers []layer, err error) {
	for _, folder := range []string{"layers", "images"} {
		if err := os.MkdirAll(filepath.Join(c.dir, folder), 0o700); err != nil {
			return nil, nil, err
		}
	}
	a, err := spool(saved, c.dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	config, names, err := a.index(platform)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := parseConfig(config)
	if err != nil {
		return nil, nil, err
	}
	if len(names) != len(parsed.RootFS.DiffIDs) {
		return nil, nil, fmt.Errorf("its configuration names %d layers, it has %d", len(parsed.RootFS.DiffIDs), len(names))
	}
	for i, diffID := range parsed.RootFS.DiffIDs {
		l, err := c.layer(diffID)
		if err != nil {
			if l, err = c.compress(a, names[i], diffID); err != nil {
				return nil, nil, err
			}
		}
		layers = append(layers, l)
	}
	return config, layers, nil
}

// layer answers a layer that is there, whole.
func (c imageCache) layer(diffID string) (layer, error) {
	text, err := os.ReadFile(c.path("layers", diffID, ".json"))
	if err != nil {
		return layer{}, err
	}
	var l layer
	if err := json.Unmarshal(text, &l); err != nil {
		return layer{}, err
	}
	l.path = c.path("layers", diffID, ".tar.gz")
	info, err := os.Stat(l.path)
	if err != nil {
		return layer{}, err
	}
	if l.DiffID != diffID || info.Size() != l.GzipSize {
		return layer{}, fmt.Errorf("cached layer %s is not whole", diffID)
	}
	return l, nil
}

// compress takes one layer of an archive in and checks it against its digest.
func (c imageCache) compress(a *archive, name, diffID string) (l layer, err error) {
	packed, err := a.open(name)
	if err != nil {
		return layer{}, err
	}
	content, err := unpacked(packed)
	if err != nil {
		return layer{}, fmt.Errorf("layer %s: %w", diffID, err)
	}
	path := c.path("layers", diffID, ".tar.gz")
	file, err := os.CreateTemp(filepath.Dir(path), "layer-*")
	if err != nil {
		return layer{}, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	inner, outer := sha256.New(), sha256.New()
	size := &counter{to: io.MultiWriter(file, outer)}
	// Speed counts more than size: the layer is compressed once and on the
	// machine of somebody who waits.
	zip, err := gzip.NewWriterLevel(size, gzip.BestSpeed)
	if err != nil {
		return layer{}, err
	}
	n, err := io.Copy(io.MultiWriter(zip, inner), content)
	if err := errors.Join(err, zip.Close(), file.Close()); err != nil {
		return layer{}, fmt.Errorf("layer %s: %w", diffID, err)
	}
	l = layer{DiffID: hexDigest(inner.Sum(nil)), Size: n, GzipDigest: hexDigest(outer.Sum(nil)), GzipSize: size.n, path: path}
	if l.DiffID != diffID {
		return layer{}, fmt.Errorf("layer %s: its content is %s", diffID, l.DiffID)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return layer{}, err
	}
	return l, writeJSON(c.path("layers", diffID, ".json"), l)
}

// unpacked is the content of a layer that an engine may have saved compressed.
func unpacked(packed io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(packed, 1<<20)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		return gzip.NewReader(buffered)
	case string(magic) == "\x28\xb5\x2f\xfd":
		return nil, errors.New("it is compressed with zstd; build the image with gzip layers or the classic image store")
	}
	return buffered, nil
}

// path is the file for a digest in a folder of the cache.
func (c imageCache) path(folder, digest, end string) string {
	return filepath.Join(c.dir, folder, filepath.Base(strings.TrimPrefix(digest, "sha256:"))+end)
}

// writeJSON replaces a file in one motion.
func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

func hexDigest(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }
