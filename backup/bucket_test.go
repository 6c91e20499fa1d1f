package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/backup/targettest"
)

func openBucket(t *testing.T, b backup.Bucket) backup.Target {
	t.Helper()
	target, err := backup.OpenBucket(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestBucketTargetOnAPaperServer(t *testing.T) {
	for name, server := range map[string]*objects{
		"that keeps conditions":         {},
		"that does not know conditions": {unknowing: true},
	} {
		t.Run(name, func(t *testing.T) {
			url := serveObjects(t, server)
			var places atomic.Int32
			targettest.Run(t, 5<<20, func(t *testing.T) backup.Target {
				if server.unknowing && strings.HasSuffix(t.Name(), "two_that_put_at_once") {
					server.unknowing = false // without conditions nobody can promise this
					t.Cleanup(func() { server.unknowing = true })
				}
				return openBucket(t, backup.Bucket{URL: strings.Replace(url, "shop", fmt.Sprint("team/", places.Add(1)), 1)})
			})
			if left := server.unfinished(); left > 0 {
				t.Errorf("%d uploads were left", left)
			}
		})
	}
}

// TestBucketThatLosesAnswers breaks connections after the effect, while the client's own retries are
// at work: what was put is known again.
func TestBucketThatLosesAnswers(t *testing.T) {
	for _, what := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		t.Run(what, func(t *testing.T) {
			var lost atomic.Int32
			server := &objects{lose: func(_ *http.Request, call string) bool { return call == what && lost.Add(1) == 1 }}
			target := openBucket(t, backup.Bucket{URL: serveObjects(t, server)})
			data := bytes.Repeat([]byte("0123456789"), 1100<<10) // 11 MiB: three parts
			if what == "PutObject" {
				data = data[:1000]
			}
			if err := target.Put(t.Context(), "shop/db/a", bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			if lost.Load() == 0 {
				t.Fatal("no answer was lost")
			}
			r, err := target.Get(t.Context(), "shop/db/a")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if have, err := io.ReadAll(r); err != nil || !bytes.Equal(have, data) {
				t.Errorf("have %d bytes, %v", len(have), err)
			}
			if err := target.Put(t.Context(), "shop/db/a", bytes.NewReader(data)); !errors.Is(err, backup.ErrExists) {
				t.Errorf("the same put of somebody else: %v", err)
			}
		})
	}
}

// TestBucketDownloadIsCut breaks the connection in the middle of an object.
func TestBucketDownloadIsCut(t *testing.T) {
	server := &objects{}
	target := openBucket(t, backup.Bucket{URL: serveObjects(t, server)})
	s := storeOn(t, target, night)
	r := write(t, s, strings.Repeat("0123456789", 100_000))
	server.cutAt = 500_000
	if _, err := read(t.Context(), s, r); !errors.Is(err, backup.ErrUnreachable) || errors.Is(err, backup.ErrCorrupted) {
		t.Errorf("have %v", err)
	}
	server.cutAt = 0
	if err := s.Check(t.Context(), r); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestBucketAnswersHaveNames(t *testing.T) {
	server := &objects{}
	place := serveObjects(t, server)
	tests := map[string]struct {
		status int
		code   string
		target error
	}{
		"denied":       {http.StatusForbidden, "AccessDenied", fs.ErrPermission},
		"full":         {http.StatusInsufficientStorage, "XMinioStorageFull", backup.ErrFull},
		"over quota":   {http.StatusBadRequest, "QuotaExceeded", backup.ErrFull},
		"out of order": {http.StatusServiceUnavailable, "SlowDown", backup.ErrUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server.fault = func(w http.ResponseWriter, r *http.Request, call string) bool {
				if call == "HeadObject" && name != "denied" {
					return false
				}
				refuse(w, tt.status, tt.code)
				return true
			}
			defer func() { server.fault = nil }()
			target := openBucket(t, backup.Bucket{URL: place})
			if err := target.Put(t.Context(), "shop/db/a", strings.NewReader("x")); !errors.Is(err, tt.target) {
				t.Errorf("put: %v", err)
			}
			if name == "out of order" {
				return // each call takes the time of the client's own retries
			}
			large := io.LimitReader(zeros{}, 6<<20)
			if err := target.Put(t.Context(), "shop/db/a", large); !errors.Is(err, tt.target) {
				t.Errorf("put a large one: %v", err)
			}
			if _, err := target.List(t.Context(), "shop"); !errors.Is(err, tt.target) {
				t.Errorf("list: %v", err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		target := openBucket(t, backup.Bucket{URL: "s3://b/x?endpoint=http://127.0.0.1:1"})
		if err := target.Put(t.Context(), "shop/db/a", strings.NewReader("x")); !errors.Is(err, backup.ErrUnreachable) {
			t.Errorf("put: %v", err)
		}
	})
}

// TestBucketFullInTheMiddle has a server that takes two parts and no third: the upload is aborted.
func TestBucketFullInTheMiddle(t *testing.T) {
	server := &objects{}
	place := serveObjects(t, server)
	server.fault = func(w http.ResponseWriter, r *http.Request, call string) bool {
		if call != "UploadPart" || r.URL.Query().Get("partNumber") != "3" {
			return false
		}
		refuse(w, http.StatusInsufficientStorage, "XMinioStorageFull")
		return true
	}
	target := openBucket(t, backup.Bucket{URL: place})
	if err := target.Put(t.Context(), "shop/db/a", io.LimitReader(zeros{}, 20<<20)); !errors.Is(err, backup.ErrFull) {
		t.Errorf("have %v", err)
	}
	if left := server.unfinished(); left > 0 {
		t.Errorf("%d uploads were left", left)
	}
	if objects, err := target.List(t.Context(), "shop"); err != nil || len(objects) > 0 {
		t.Errorf("have %v, %v", objects, err)
	}
}

func TestBucketSweepsUploads(t *testing.T) {
	server := &objects{}
	place := serveObjects(t, server)
	target := openBucket(t, backup.Bucket{URL: place})
	server.uploads = map[string]*upload{
		"old":     {key: "backups/shop/shop/db/a.age", begun: time.Now().Add(-25 * time.Hour)},
		"new":     {key: "backups/shop/shop/db/b.age", begun: time.Now().Add(-23 * time.Hour)},
		"other's": {key: "backups/shop/shop-2/db/a.age", begun: time.Now().Add(-25 * time.Hour)},
	}
	removed, err := target.Sweep(t.Context(), "shop", backup.Grace)
	if err != nil || len(removed) != 1 || removed[0] != "shop/db/a.age (an upload)" || server.unfinished() != 2 {
		t.Errorf("swept %v, %v, %d are left", removed, err, server.unfinished())
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBucketURLsThatAreRefused(t *testing.T) {
	tests := map[string]string{
		"":                                 "want s3://bucket/prefix",
		"https://host/x":                   "want s3://bucket/prefix",
		"s3:///x":                          "want s3://bucket/prefix",
		"s3://key:hunter22@bucket/x":       "credentials apart from it",
		"s3://bucket/x?regoin=eu":          `parameter "regoin" is unknown`,
		"s3://bucket/x?part_size=4":        "part_size",
		"s3://bucket/x?part_size=hunter":   "part_size",
		"s3://a:hunter22@bucket:port/x%zz": "no URL",
	}
	for place, says := range tests {
		_, err := backup.OpenBucket(t.Context(), backup.Bucket{URL: place})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: the error is %v, want %q", place, err, says)
		}
	}
	target := openBucket(t, backup.Bucket{URL: "s3://bucket/a/../b//c/?endpoint=" + url.QueryEscape("http://h:1")})
	if target.String() != "s3://bucket/b/c" {
		t.Errorf("its name is %s", target)
	}
}
