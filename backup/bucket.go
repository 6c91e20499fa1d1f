package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// A Bucket says where a bucket is and who asks.
type Bucket struct {
	// URL is s3://bucket/prefix?region=...&endpoint=...&profile=...&part_size=...; part_size is in MiB,
	// 16 if not said, and bounds an object to 10000 times that.
	URL string
	// AccessKeyID and SecretAccessKey, both or none: none takes them as other programs for S3 do, from
	// the environment, the shared configuration (profile), or the machine's role.
	AccessKeyID, SecretAccessKey string
}

// bucket is a Target in an S3-compatible bucket. Objects larger than a part are put as multipart
// uploads, so that neither their size need be known nor more than a part be held.
type bucket struct {
	client        *s3.Client
	bucket        string
	prefix        string // "" or with a slash at its end
	partSize      int
	unconditional atomic.Bool // the server does not know If-None-Match
}

const (
	answerTime = 60 * time.Second // until a request is answered, or a stream goes on
	partSize   = 16               // MiB
	mostParts  = 10_000           // S3's own bound
)

// OpenBucket returns the target in a bucket. It asks the bucket nothing yet.
func OpenBucket(ctx context.Context, b Bucket) (Target, error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, errors.New("open the bucket for backups: it is no URL") // url's own words may quote a password
	}
	if u.Scheme != "s3" || u.Host == "" || u.User != nil {
		return nil, errors.New("open the bucket for backups: want s3://bucket/prefix, and credentials apart from it")
	}
	query := u.Query()
	for key := range query {
		if !slices.Contains([]string{"region", "endpoint", "profile", "part_size"}, key) {
			return nil, fmt.Errorf("open the bucket for backups: parameter %q is unknown", key)
		}
	}
	size := partSize
	if text := query.Get("part_size"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 5 || size > 1024 {
			return nil, fmt.Errorf("open the bucket for backups: part_size %q is not from 5 to 1024 (MiB)", text)
		}
	}
	client, err := b.client(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("open the bucket s3://%s for backups: %w", u.Host, err)
	}
	prefix := strings.Trim(path.Clean("/"+u.Path), "/")
	if prefix != "" {
		prefix += "/"
	}
	return &bucket{client: client, bucket: u.Host, prefix: prefix, partSize: size << 20}, nil
}

func (b Bucket) client(ctx context.Context, query url.Values) (*s3.Client, error) {
	options := []func(*config.LoadOptions) error{
		config.WithDefaultRegion("us-east-1"), config.WithRegion(query.Get("region")),
		config.WithSharedConfigProfile(query.Get("profile")),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = answerTime
		})),
	}
	if b.AccessKeyID != "" || b.SecretAccessKey != "" {
		options = append(options, config.WithCredentialsProvider(aws.CredentialsProviderFunc(
			func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: b.AccessKeyID, SecretAccessKey: b.SecretAccessKey}, nil
			})))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	return s3.NewFromConfig(loaded, func(o *s3.Options) {
		if endpoint := query.Get("endpoint"); endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		// Servers other than Amazon's know neither host names per bucket for sure, nor the newer
		// checksums. Backups have their own.
		o.UsePathStyle = o.BaseEndpoint != nil
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}), nil
}

func (b *bucket) String() string {
	return "s3://" + b.bucket + "/" + strings.TrimSuffix(b.prefix, "/")
}

func (b *bucket) key(name string) *string { return aws.String(b.prefix + name) }

func (b *bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkObject(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(name)})
	if err != nil {
		err = b.named(ctx, err)
		cancel(nil)
		return nil, err
	}
	size := int64(-1)
	if out.ContentLength != nil {
		size = *out.ContentLength
	}
	return &download{ctx: ctx, cancel: cancel, body: out.Body, bucket: b, left: size}, nil
}

// download is an object that is being read. It ends when no byte comes for answerTime.
type download struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	bucket *bucket
	left   int64 // what is still to come, -1 if it was not said
}

func (d *download) Read(p []byte) (int, error) {
	stalled := time.AfterFunc(answerTime, func() {
		d.cancel(fmt.Errorf("%w: nothing came for %v", ErrUnreachable, answerTime))
	})
	n, err := d.body.Read(p)
	stalled.Stop()
	if d.left >= 0 {
		if d.left -= int64(n); err == io.EOF && d.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && err != io.EOF {
		err = d.bucket.named(d.ctx, err)
	}
	return n, err
}

func (d *download) Close() error {
	d.cancel(nil)
	return d.body.Close()
}

func (b *bucket) List(ctx context.Context, folder string) ([]Object, error) {
	if err := checkObject(folder); err != nil {
		return nil, err
	}
	var objects []Object
	input := &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: b.key(folder + "/")}
	for pages := s3.NewListObjectsV2Paginator(b.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.named(ctx, err)
		}
		now := serverTime(page.ResultMetadata)
		for _, o := range page.Contents {
			name := strings.TrimPrefix(aws.ToString(o.Key), b.prefix)
			if ValidObject(name) {
				objects = append(objects, Object{Name: name, Size: aws.ToInt64(o.Size), Age: since(now, o.LastModified)})
			}
		}
	}
	sortObjects(objects)
	return objects, nil
}

// serverTime is the server's clock, or ours where it does not say.
func serverTime(metadata middleware.Metadata) time.Time {
	if now, ok := awsmiddleware.GetServerTime(metadata); ok {
		return now
	}
	return time.Now()
}

// since is an age in whole seconds; what has no time is new, and so is what was written in the second
// that has just begun while the store's answer is still of the one before.
func since(now time.Time, then *time.Time) time.Duration {
	if then == nil {
		return 0
	}
	return max(0, now.Sub(*then).Truncate(time.Second))
}

func (b *bucket) Delete(ctx context.Context, name string) error {
	if err := checkObject(name); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.key(name)})
	if err = b.named(ctx, err); errors.Is(err, ErrAbsent) {
		return nil
	}
	return err
}

// Sweep aborts multipart uploads that nobody goes on with.
func (b *bucket) Sweep(ctx context.Context, folder string, age time.Duration) ([]string, error) {
	if err := checkObject(folder); err != nil {
		return nil, err
	}
	var removed []string
	input := &s3.ListMultipartUploadsInput{Bucket: &b.bucket, Prefix: b.key(folder + "/")}
	for pages := s3.NewListMultipartUploadsPaginator(b.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if statusOf(err) == http.StatusNotImplemented {
			return removed, nil
		}
		if err != nil {
			return removed, b.named(ctx, err)
		}
		now := serverTime(page.ResultMetadata)
		for _, upload := range page.Uploads {
			if since(now, upload.Initiated) < age {
				continue
			}
			if err := b.abort(ctx, upload.Key, upload.UploadId); err != nil {
				return removed, err
			}
			removed = append(removed, strings.TrimPrefix(aws.ToString(upload.Key), b.prefix)+" (an upload)")
		}
	}
	return removed, nil
}

// abort ends an upload and frees its parts; one that is gone is no error.
func (b *bucket) abort(ctx context.Context, key, id *string) error {
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.bucket, Key: key, UploadId: id})
	if err = b.named(ctx, err); errors.Is(err, ErrAbsent) {
		return nil
	}
	return err
}
