package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// sentEvery is how often a transfer says how much it has sent.
const sentEvery = 2 * time.Second

// HasImage tells whether the host has an image that was transferred to it.
func (h *Host) HasImage(ctx context.Context, image Image) (bool, error) {
	docker, err := h.Docker(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = docker.Close() }()
	return hasImage(ctx, docker, image)
}

func hasImage(ctx context.Context, docker *client.Client, image Image) (bool, error) {
	_, err := docker.ImageInspect(ctx, image.Reference())
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Transfer brings images to the host without a registry between: the host's
// engine pulls them, only the layers that it lacks, from a registry in this
// process that is forwarded to the host's loopback over the SSH connection.
// Afterwards they are there as Image.Reference says. An image that the host has
// already costs one question. It may be repeated and be killed anywhere.
// progress, if not nil, gets a line now and then.
func (h *Host) Transfer(ctx context.Context, images []Image, progress func(string)) error {
	if err := h.transfer(ctx, images, progress); err != nil {
		return fmt.Errorf("transfer images to %s: %w", h.target.Address, err)
	}
	return nil
}

func (h *Host) transfer(ctx context.Context, images []Image, progress func(string)) error {
	docker, err := h.Docker(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = docker.Close() }()
	var lacking []Image
	for _, image := range images {
		has, err := hasImage(ctx, docker, image)
		if err != nil {
			return err
		}
		if !has {
			lacking = append(lacking, image)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	if err := fits(ctx, docker, lacking); err != nil {
		return err
	}
	listener, err := h.ListenLoopback(ctx)
	if err != nil {
		return err
	}
	registry := newRegistry(lacking)
	stop := serve(listener, registry)
	defer stop()
	for _, image := range lacking {
		if err := pull(ctx, docker, listener.Addr().String(), image, registry, progress); err != nil {
			return fmt.Errorf("%s: %w", image.Name, err)
		}
	}
	return nil
}

// fits refuses images for another platform before anything is sent.
func fits(ctx context.Context, docker *client.Client, images []Image) error {
	engine, err := docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return err
	}
	for _, image := range images {
		if platform := engine.Os + "/" + engine.Arch; image.Platform != platform {
			return fmt.Errorf("%s is built for %s, the host is %s", image.Name, image.Platform, platform)
		}
	}
	return nil
}

// serve answers HTTP on a listener until stop, which waits for its end.
func serve(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	return func() {
		_ = server.Close()
		running.Wait()
	}
}

// pull has the engine pull one image from the registry at address, and gives it
// the name by which it is found from then on.
func pull(ctx context.Context, docker *client.Client, address string, image Image, registry *registry, progress func(string)) error {
	start, before := time.Now(), registry.sent.Load()
	source := address + "/" + image.Reference()
	answer, err := docker.ImagePull(ctx, source, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	told := start
	for message, err := range answer.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil {
			return message.Error
		}
		if progress != nil && time.Since(told) >= sentEvery {
			told = time.Now()
			progress(fmt.Sprintf("image %s: sent %s", image.Name, megabytes(registry.sent.Load()-before)))
		}
	}
	if err := adopt(ctx, docker, source, image); err != nil {
		return err
	}
	if progress != nil {
		progress(fmt.Sprintf("image %s: there after %s, sent %s of %s", image.Name, time.Since(start).Round(100*time.Millisecond),
			megabytes(registry.sent.Load()-before), megabytes(image.gzipSize())))
	}
	return nil
}

// adopt checks what was pulled, names it, and takes away the names that hold
// the port of a transfer, also of one that was killed.
func adopt(ctx context.Context, docker *client.Client, source string, image Image) error {
	found, err := docker.ImageInspect(ctx, source)
	if err != nil {
		return err
	}
	// The id is the configuration's digest, or, in engines with containerd's
	// image store, the digest of the manifest that was pulled.
	if found.ID != digestOf(image.config) && found.ID != digestOf(image.manifest(true)) {
		return fmt.Errorf("the engine has %s, which is not what was sent", found.ID)
	}
	if _, err := docker.ImageTag(ctx, client.ImageTagOptions{Source: source, Target: image.Reference()}); err != nil {
		return err
	}
	for _, tag := range found.RepoTags {
		if !strings.HasSuffix(tag, "/"+image.Reference()) {
			continue
		}
		_, err := docker.ImageRemove(ctx, tag, client.ImageRemoveOptions{})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return errors.Join(errors.New("remove the name "+tag), err)
		}
	}
	return nil
}

func (i Image) gzipSize() int64 {
	var size int64
	for _, l := range i.layers {
		size += l.GzipSize
	}
	return size
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
