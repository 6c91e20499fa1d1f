package remote

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
)

// archive is a stream of "docker save", kept in a file so that its parts can
// be read in any order: the list of layers comes after them.
type archive struct {
	file  *os.File
	parts map[string]part
}

// part is where one file of an archive lies, or what it links to.
type part struct {
	offset, size int64
	link         string
}

// spool keeps a saved stream in a new file under dir. Close removes it.
func spool(stream io.Reader, dir string) (*archive, error) {
	file, err := os.CreateTemp(dir, "save-*.tar")
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, parts: map[string]part{}}
	if err := a.fill(stream); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *archive) fill(stream io.Reader) error {
	counted := &counter{to: a.file}
	tee := io.TeeReader(stream, counted)
	files := tar.NewReader(tee)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("saved image: %w", err)
		}
		p := part{offset: counted.n, size: header.Size}
		if header.Typeflag == tar.TypeSymlink {
			p.link = path.Join(path.Dir(header.Name), header.Linkname)
		}
		if header.Typeflag == tar.TypeLink {
			p.link = path.Clean(header.Linkname)
		}
		a.parts[path.Clean(header.Name)] = p
		if _, err := io.Copy(io.Discard, files); err != nil {
			return fmt.Errorf("saved image: %w", err)
		}
	}
}

// open answers the content of a file; engines before 25 link equal layers.
func (a *archive) open(name string) (*io.SectionReader, error) {
	name = path.Clean(name)
	for range len(a.parts) {
		p, found := a.parts[name]
		if !found {
			break
		}
		if p.link == "" {
			return io.NewSectionReader(a.file, p.offset, p.size), nil
		}
		name = p.link
	}
	return nil, fmt.Errorf("saved image: it has no %s", name)
}

// index answers the configuration and the names of the layers. Where there are
// images for several platforms it is the one for platform, else the only one.
func (a *archive) index(platform string) (config []byte, layers []string, err error) {
	list, err := a.open("manifest.json")
	if err != nil {
		return nil, nil, err
	}
	var images []struct {
		Config string
		Layers []string
	}
	if err := json.NewDecoder(list).Decode(&images); err != nil {
		return nil, nil, fmt.Errorf("saved image: manifest.json: %w", err)
	}
	for _, image := range images {
		file, err := a.open(image.Config)
		if err != nil {
			return nil, nil, err
		}
		if config, err = io.ReadAll(file); err != nil {
			return nil, nil, err
		}
		parsed, err := parseConfig(config)
		if err == nil && (len(images) == 1 || parsed.platform() == platform) {
			return config, image.Layers, nil
		}
	}
	return nil, nil, fmt.Errorf("saved image: manifest.json names no image for %s", platform)
}

// Close removes the file.
func (a *archive) Close() error {
	return errors.Join(a.file.Close(), os.Remove(a.file.Name()))
}

// counter counts what is written through it.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}
