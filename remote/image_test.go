package remote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	puller "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/moby/client"
)

// file is one entry of a test's archive; content is where it links to if link.
type file struct {
	name    string
	content []byte
	link    bool
}

func archiveOf(t testing.TB, files []file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if f.link {
			header.Size, header.Typeflag, header.Linkname = 0, tar.TypeSymlink, string(f.content)
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if !f.link {
			if _, err := w.Write(f.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// testLayers are two layers, one of which an image has twice.
func testLayers(t testing.TB) (base, app []byte) {
	base = archiveOf(t, []file{{name: "etc/os-release", content: []byte("ID=debian\n")}})
	app = archiveOf(t, []file{{name: "app", content: bytes.Repeat([]byte("binary "), 1<<16)}})
	return base, app
}

func configOf(platform string, layers ...[]byte) []byte {
	var ids []string
	for _, l := range layers {
		ids = append(ids, digestOf(l))
	}
	system, architecture, _ := strings.Cut(platform, "/")
	text, _ := json.Marshal(map[string]any{
		"architecture": architecture, "os": system, "rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	return text
}

// savedBefore25 is what "docker save" of Docker 20.10 writes: layers beside
// folders of their own, equal ones linked, the index at the end.
func savedBefore25(t testing.TB) []byte {
	base, app := testLayers(t)
	config := configOf("linux/amd64", base, app, base)
	return archiveOf(t, []file{
		{name: "aaa/layer.tar", content: base}, {name: "aaa/json", content: []byte("{}")},
		{name: "bbb/layer.tar", content: app},
		{name: "ccc/layer.tar", content: []byte("../aaa/layer.tar"), link: true},
		{name: "config.json", content: config},
		{name: "manifest.json", content: []byte(`[{"Config":"config.json","RepoTags":["web:1"],"Layers":["aaa/layer.tar","bbb/layer.tar","ccc/layer.tar"]}]`)},
	})
}

// savedSince25 is what engines with containerd's image store write: blobs,
// compressed, here of two platforms.
func savedSince25(t testing.TB) []byte {
	base, app := testLayers(t)
	config, arm := configOf("linux/amd64", base, app, base), configOf("linux/arm64", base)
	return archiveOf(t, []file{
		{name: "blobs/sha256/b", content: gzipped(t, base)}, {name: "blobs/sha256/a", content: gzipped(t, app)},
		{name: "blobs/sha256/c", content: config}, {name: "blobs/sha256/arm", content: arm},
		{name: "oci-layout", content: []byte("{}")},
		{name: "manifest.json", content: []byte(`[{"Config":"blobs/sha256/arm","Layers":["blobs/sha256/b"]},
			{"Config":"blobs/sha256/c","Layers":["blobs/sha256/b","blobs/sha256/a","blobs/sha256/b"]}]`)},
	})
}

// localEngine is a Docker engine with one image, web:1, that counts saves.
func localEngine(t *testing.T, saved []byte, saves *int) *client.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch {
		case strings.HasSuffix(r.URL.Path, "/images/web:1/json"):
			_, _ = io.WriteString(w, `{"Id":"sha256:1234","Os":"linux","Architecture":"amd64","Size":123456}`)
		case strings.HasSuffix(r.URL.Path, "/images/get"):
			*saves++
			_, _ = w.Write(saved)
		case !strings.HasSuffix(r.URL.Path, "/_ping"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"No such image"}`)
		}
	}))
	t.Cleanup(server.Close)
	docker, err := client.New(client.WithHost("tcp://" + server.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = docker.Close() })
	return docker
}

func testImage(t *testing.T, saved []byte, cache string) Image {
	t.Helper()
	var saves int
	image, err := LocalImage(t.Context(), localEngine(t, saved, &saves), "web:1", cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// The digest says what an image is, whichever engine it comes from and however
// its layers were compressed there.
func TestLocalImageIsTheSameFromEveryEngine(t *testing.T) {
	old, young := testImage(t, savedBefore25(t), t.TempDir()), testImage(t, savedSince25(t), t.TempDir())
	if old.Digest != young.Digest {
		t.Errorf("%s and %s", old.Digest, young.Digest)
	}
	// A change here takes every image for a new one.
	if want := "sha256:45f1e6cef2cbb24714b6da92928c6d95d869be32c916a465bcf5e30dd8131da5"; old.Digest != want {
		t.Errorf("digest %s, want %s", old.Digest, want)
	}
	if old.Platform != "linux/amd64" || old.Name != "web" {
		t.Errorf("image %+v", old)
	}
}

func TestLocalImageIsReadOnce(t *testing.T) {
	var saves int
	engine, cache := localEngine(t, savedBefore25(t), &saves), t.TempDir()
	var digests []string
	for range 2 {
		image, err := LocalImage(t.Context(), engine, "web:1", cache, nil)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, image.Digest)
	}
	if saves != 1 || digests[0] != digests[1] {
		t.Errorf("saved %d times, digests %q", saves, digests)
	}
	layers, err := filepath.Glob(filepath.Join(cache, "layers", "*.tar.gz"))
	if err != nil || len(layers) != 2 {
		t.Fatalf("layers %q, %v", layers, err)
	}
	// A layer that was cut is not taken.
	if err := os.Truncate(layers[0], 10); err != nil {
		t.Fatal(err)
	}
	if _, err := LocalImage(t.Context(), engine, "web:1", cache, nil); err != nil || saves != 2 {
		t.Errorf("saved %d times, %v", saves, err)
	}
	if rest, _ := filepath.Glob(filepath.Join(cache, "save-*")); len(rest) != 0 {
		t.Errorf("left behind: %q", rest)
	}
}

func TestLocalImageThatIsNotThere(t *testing.T) {
	var saves int
	_, err := LocalImage(t.Context(), localEngine(t, nil, &saves), "other:1", t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "local image other:1") {
		t.Errorf("got %v", err)
	}
}

func TestLocalImageRefusesWhatIsNotWhole(t *testing.T) {
	base, app := testLayers(t)
	whole := savedBefore25(t)
	for name, saved := range map[string][]byte{
		"cut":           whole[:len(whole)/2],
		"no index":      archiveOf(t, nil),
		"no image":      archiveOf(t, []file{{name: "manifest.json", content: []byte("[]")}}),
		"a loop":        archiveOf(t, []file{{name: "manifest.json", content: []byte("manifest.json"), link: true}}),
		"wrong content": archiveOf(t, []file{{name: "l", content: app}, {name: "c", content: configOf("linux/amd64", base)}, {name: "manifest.json", content: []byte(`[{"Config":"c","Layers":["l"]}]`)}}),
		"no layer":      archiveOf(t, []file{{name: "c", content: configOf("linux/amd64", base)}, {name: "manifest.json", content: []byte(`[{"Config":"c"}]`)}}),
		"zstd":          archiveOf(t, []file{{name: "l", content: []byte("\x28\xb5\x2f\xfd")}, {name: "c", content: configOf("linux/amd64", base)}, {name: "manifest.json", content: []byte(`[{"Config":"c","Layers":["l"]}]`)}}),
	} {
		t.Run(name, func(t *testing.T) {
			var saves int
			cache := t.TempDir()
			if _, err := LocalImage(t.Context(), localEngine(t, saved, &saves), "web:1", cache, nil); err == nil {
				t.Error("it was taken")
			}
			if rest, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(rest) != 0 {
				t.Errorf("left behind: %q", rest)
			}
		})
	}
}

func TestTransferredReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("1", 64)
	for ref, want := range map[string]string{
		"web": "web", "web:2": "web", "shop/web:2": "shop/web", "registry.example.com:5000/shop/web@" + digest: "shop/web",
		"docker.io/library/nginx:1": "nginx", "sha256:12": "sha256", "???": "image",
	} {
		if got := TransferredReference(ref, digest); got != "cloudship.local/"+want+":"+tagOf(digest) {
			t.Errorf("%s is %s", ref, got)
		}
	}
}

// A client that is not ours pulls the image and finds all of it in order.
func TestRegistryServesWhatAClientPulls(t *testing.T) {
	image := testImage(t, savedBefore25(t), t.TempDir())
	registry := newRegistry([]Image{image})
	server := httptest.NewServer(registry)
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	ref, err := name.ParseReference(server.Listener.Addr().String() + "/" + image.Reference())
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := puller.Image(ref, puller.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Error(err)
	}
	id, err := pulled.ConfigName()
	if err != nil || id.String() != digestOf(image.config) {
		t.Errorf("configuration %s, %v", id, err)
	}
	if sent := registry.sent.Load(); sent < image.gzipSize() {
		t.Errorf("counted %d bytes, the layers have %d", sent, image.gzipSize())
	}
}

func TestRegistryIsOnlyRead(t *testing.T) {
	registry := newRegistry([]Image{testImage(t, savedBefore25(t), t.TempDir())})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/v2/", 200}, {"GET", "/", 404}, {"GET", "/v2/other/manifests/latest", 404},
		{"GET", "/v2/x/blobs/sha256:00", 404}, {"GET", "/v2/x/blobs/../../../etc/passwd", 404},
		{"PUT", "/v2/x/manifests/latest", 405}, {"POST", "/v2/x/blobs/uploads/", 405}, {"DELETE", "/v2/x/manifests/latest", 405},
	} {
		answer := httptest.NewRecorder()
		registry.ServeHTTP(answer, httptest.NewRequest(c.method, c.path, nil))
		if answer.Code != c.want {
			t.Errorf("%s %s answers %d, want %d", c.method, c.path, answer.Code, c.want)
		}
	}
}

// Whatever an engine saves, it is refused or is a whole image.
func FuzzArchive(f *testing.F) {
	f.Add(savedBefore25(f))
	f.Add(savedSince25(f))
	f.Add([]byte("not a tar"))
	f.Fuzz(func(t *testing.T, saved []byte) {
		config, layers, err := imageCache{t.TempDir()}.read(bytes.NewReader(saved), "linux/amd64")
		if err != nil {
			return
		}
		if _, err := newImage("web", config, layers); err != nil {
			t.Errorf("read, but %v", err)
		}
	})
}

func TestMegabytes(t *testing.T) {
	if got := fmt.Sprint(megabytes(73_772_696)); got != "73.8 MB" {
		t.Errorf("got %s", got)
	}
}
