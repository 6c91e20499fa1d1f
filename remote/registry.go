package remote

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// registry serves images to one engine: the part of the distribution protocol
// that a pull uses, and nothing that writes. A manifest is asked for by the tag
// of an image's own digest.
type registry struct {
	manifests map[string][]byte // by name and tag
	blobs     map[string]blob   // by digest
	sent      atomic.Int64      // bytes of blobs
}

func newRegistry(images []Image) *registry {
	r := &registry{manifests: map[string][]byte{}, blobs: map[string]blob{}}
	for _, image := range images {
		text := image.manifest(true)
		name, _, _ := strings.Cut(image.Reference(), ":")
		// An engine may ask again, by the digest that it was told.
		r.manifests[name+"/manifests/"+tagOf(image.Digest)] = text
		r.manifests[name+"/manifests/"+digestOf(text)] = text
		r.blobs[digestOf(image.config)] = blob{content: image.config}
		for _, l := range image.layers {
			r.blobs[l.GzipDigest] = blob{path: l.path}
		}
	}
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		http.Error(w, "this registry is only read", http.StatusMethodNotAllowed)
		return
	}
	path, versioned := strings.CutPrefix(request.URL.Path, "/v2/")
	if versioned && path == "" {
		return
	}
	if text, found := r.manifests[path]; found && versioned {
		w.Header().Set("Content-Type", typeManifest)
		w.Header().Set("Docker-Content-Digest", digestOf(text))
		http.ServeContent(w, request, "", time.Time{}, bytes.NewReader(text))
		return
	}
	if _, digest, isBlob := strings.Cut(path, "/blobs/"); isBlob && versioned {
		if b, found := r.blobs[digest]; found {
			r.serveBlob(w, request, digest, b)
			return
		}
	}
	http.NotFound(w, request)
}

func (r *registry) serveBlob(w http.ResponseWriter, request *http.Request, digest string, b blob) {
	content, err := b.open()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = content.Close() }()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	http.ServeContent(&countingWriter{w, &r.sent}, request, "", time.Time{}, content)
}

// blob is one file of an image: at a path, or its content.
type blob struct {
	path    string
	content []byte
}

func (b blob) open() (io.ReadSeekCloser, error) {
	if b.path != "" {
		return os.Open(b.path)
	}
	return memory{bytes.NewReader(b.content)}, nil
}

// memory is content that needs no closing.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// countingWriter counts the bytes of answers as they go out.
type countingWriter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.sent.Add(int64(n))
	return n, err
}
