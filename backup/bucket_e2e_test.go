//go:build e2e

package backup_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/backup/targettest"
	"github.com/cloudship/cloudship/e2e/bucket"
)

// served is a bucket on a real server.
type served struct {
	endpoint string
	client   *s3.Client
	data     string // the folder of the server
}

func (s *served) url(prefix string) string {
	return "s3://backups/" + prefix + "?region=us-east-1&part_size=5&endpoint=" + url.QueryEscape(s.endpoint)
}

func (s *served) open(t *testing.T, prefix string) backup.Target {
	t.Helper()
	return openBucket(t, backup.Bucket{URL: s.url(prefix), AccessKeyID: bucket.AccessKey, SecretAccessKey: bucket.SecretKey})
}

// serveBucket builds and starts the server.
func serveBucket(t *testing.T) *served {
	t.Helper()
	gateway := bucket.New(t.Context(), t)
	gateway.Start(t)
	s := &served{endpoint: gateway.Endpoint(), data: gateway.Data}
	t.Setenv("AWS_ACCESS_KEY_ID", bucket.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", bucket.SecretKey)
	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	s.client = s3.NewFromConfig(loaded, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = aws.String(s.endpoint), true })
	if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("backups")}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBucketTargetOnARealServer(t *testing.T) {
	server := serveBucket(t)
	t.Run("suite", func(t *testing.T) {
		targettest.Run(t, 5<<20, func(t *testing.T) backup.Target { return server.open(t, "team/"+rand.Text()) })
	})
	t.Run("a store", func(t *testing.T) {
		s := storeOn(t, server.open(t, "store"), night)
		data := bytes.Repeat([]byte("acknowledged row\n"), 1<<20) // 17 MiB: four parts
		r, err := s.Write(t.Context(), draft(t), content(data))
		if err != nil {
			t.Fatal(err)
		}
		have, err := read(t.Context(), s, r)
		if err != nil || !bytes.Equal(have, data) {
			t.Errorf("read %d bytes, %v", len(have), err)
		}
		wantListed(t, s, "db/20260921_180000.sqlite3")
		write(t, s, "second")
		wantListed(t, s, "db/20260921_180000.sqlite3", "db/20260921_180000-2.sqlite3")
	})
	t.Run("uploads that were left are aborted", func(t *testing.T) { leftUploads(t, server) })
	t.Run("wrong credentials", func(t *testing.T) {
		target := openBucket(t, backup.Bucket{URL: server.url("x"), AccessKeyID: "tester", SecretAccessKey: "wrong"})
		if _, err := target.List(t.Context(), "shop"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("have %v", err)
		}
	})
	t.Run("no such bucket", func(t *testing.T) {
		target := openBucket(t, backup.Bucket{URL: strings.Replace(server.url("x"), "//backups", "//nothing", 1)})
		if _, err := target.List(t.Context(), "shop"); err == nil || errors.Is(err, backup.ErrAbsent) || err.Error() != "there is no bucket nothing" {
			t.Errorf("have %v", err)
		}
		if _, err := target.Get(t.Context(), "shop/db/a"); err == nil || errors.Is(err, backup.ErrAbsent) {
			t.Errorf("have %v", err)
		}
	})
}

// leftUploads leaves uploads of this stack and of another's.
func leftUploads(t *testing.T, server *served) {
	for i, key := range []string{"left/shop/db/a.age", "left/shop/db/b.age", "left/shop-2/db/a.age", "other/shop/db/a.age"} {
		upload, err := server.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("backups"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue
		}
		_, err = server.client.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: aws.String("backups"), Key: &key, UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	target := server.open(t, "left")
	if removed, err := target.Sweep(t.Context(), "shop", time.Hour); err != nil || len(removed) > 0 {
		t.Errorf("uploads that may go on were swept: %v, %v", removed, err)
	}
	removed, err := target.Sweep(t.Context(), "shop", -time.Hour)
	if err != nil || fmt.Sprint(removed) != "[shop/db/a.age (an upload) shop/db/b.age (an upload)]" {
		t.Errorf("swept %v, %v", removed, err)
	}
	left, err := server.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("backups")})
	if err != nil || len(left.Uploads) != 2 {
		t.Errorf("%d uploads are left, want those of others: %v", len(left.Uploads), err)
	}
}
