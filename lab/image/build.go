package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

//go:embed server
var files embed.FS

// contentLabel carries the hash of all that went into an image. The
// Dockerfiles set it.
const contentLabel = "cloudship.lab.content"

// server returns the reference of a server image, made now if it must be.
func (m *maker) server(ctx context.Context, slug string) (string, error) {
	r := recipes[slug]
	var from, fromID string
	var err error
	if r.from != "" {
		if from, err = m.server(ctx, r.from); err != nil {
			return "", err
		}
		fromID, err = m.imageID(ctx, from)
	} else {
		from = bases[r.codename][0]
		fromID, err = m.base(ctx, r.codename)
	}
	if err != nil {
		return "", err
	}
	dir, err := m.buildFiles(r)
	if err != nil {
		return "", err
	}
	ref := repository + slug + ":latest"
	hash := contentHash(fromID, dir)
	if m.isCurrent(ctx, ref, hash) {
		return ref, nil
	}
	// What a newer image replaces would be left without a name.
	old, oldErr := m.imageID(ctx, ref)
	m.progress("building " + slug)
	err = m.build(ctx, slug, ref, from, hash, dir)
	if err != nil && ctx.Err() == nil {
		// An archive that was being changed just then is a new one a moment later.
		m.progress("building " + slug + " again: " + shorten(err.Error(), 70))
		err = m.build(ctx, slug, ref, from, hash, dir)
	}
	if err != nil {
		return "", err
	}
	if oldErr == nil {
		// Refused while a server still runs from it, and that is well.
		_, _ = m.docker.ImageRemove(ctx, old, client.ImageRemoveOptions{PruneChildren: true})
	}
	return ref, nil
}

func (m *maker) imageID(ctx context.Context, ref string) (string, error) {
	found, err := m.docker.ImageInspect(ctx, ref)
	return found.ID, err
}

func (m *maker) isCurrent(ctx context.Context, ref, hash string) bool {
	found, err := m.docker.ImageInspect(ctx, ref)
	return err == nil && found.Config != nil && found.Config.Labels[contentLabel] == hash
}

// buildFiles is what the engine gets to build from, by path.
func (m *maker) buildFiles(r recipe) (map[string][]byte, error) {
	dir := map[string][]byte{}
	dockerfile, err := files.ReadFile("server/" + r.dockerfile)
	if err != nil {
		return nil, err
	}
	dir["Dockerfile"] = dockerfile
	if r.from != "" {
		return dir, nil
	}
	for path, data := range m.apt.files(r.codename) {
		dir["files/"+path] = data
	}
	err = fs.WalkDir(files, "server/rootfs", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		dir["files/"+strings.TrimPrefix(path, "server/rootfs/")] = data
		return err
	})
	return dir, err
}

func contentHash(fromID string, dir map[string][]byte) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "from %s\n", fromID)
	for _, path := range slices.Sorted(maps.Keys(dir)) {
		fmt.Fprintf(sum, "%s %d\n%s\n", path, len(dir[path]), dir[path])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (m *maker) build(ctx context.Context, slug, ref, from, hash string, dir map[string][]byte) error {
	archive, err := tarOf(dir)
	if err != nil {
		return err
	}
	args := map[string]*string{"BASE": &from, "CONTENT": &hash}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			args[name] = &value
		}
	}
	answer, err := m.docker.ImageBuild(ctx, archive, client.ImageBuildOptions{
		Tags:        []string{ref},
		Dockerfile:  "Dockerfile",
		BuildArgs:   args,
		Remove:      true,
		ForceRemove: true,
	})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	defer answer.Body.Close()
	err = readMessages(answer.Body, func(line string) {
		if strings.HasPrefix(line, "Step ") {
			m.progress("building " + slug + ": " + shorten(line, 70))
		}
	})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

func tarOf(dir map[string][]byte) (io.Reader, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, path := range slices.Sorted(maps.Keys(dir)) {
		// Times and owners are left at zero: the same files are the same bytes.
		header := &tar.Header{Name: path, Mode: 0o644, Size: int64(len(dir[path]))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(dir[path]); err != nil {
			return nil, err
		}
	}
	return &buffer, archive.Close()
}

// readMessages reads an engine's answer to its end. The error has the last
// lines that were printed before it.
func readMessages(answer io.Reader, each func(line string)) error {
	var last []string
	decoder := json.NewDecoder(answer)
	for {
		var message jsonstream.Message
		err := decoder.Decode(&message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("engine's answer: %w", err)
		}
		if message.Error != nil {
			return fmt.Errorf("%w: %s", message.Error, strings.Join(last, " / "))
		}
		line := strings.TrimSpace(message.Stream)
		if line == "" {
			continue
		}
		last = append(last, line)
		last = last[max(0, len(last)-5):]
		if each != nil {
			each(line)
		}
	}
}

func shorten(line string, most int) string {
	line = strings.Join(strings.Fields(line), " ")
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return line
}
