package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// bucket is a store in an S3-compatible bucket. It rests on conditional puts,
// and refuses a server that does not keep their conditions.
type bucket struct {
	client *s3.Client
	bucket string
	prefix string // "" or with a slash at its end
	proven atomic.Bool
}

// answerTime is how long one request to a bucket may take.
const answerTime = 20 * time.Second

// openS3 reads credentials, and what the URL leaves open, as other programs for
// S3 do: environment, shared configuration, or the machine's role.
func openS3(ctx context.Context, u *url.URL) (Store, error) {
	if err := onlyKnown(u, "region", "endpoint", "profile"); err != nil {
		return nil, err
	}
	if u.Host == "" || u.User != nil {
		return nil, errors.New("open the state: want s3://bucket/prefix, and credentials from the environment")
	}
	query := u.Query()
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithDefaultRegion("us-east-1"), config.WithRegion(query.Get("region")),
		config.WithSharedConfigProfile(query.Get("profile")),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(answerTime)))
	if err != nil {
		return nil, fmt.Errorf("open the state in s3://%s: %w", u.Host, err)
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		if endpoint := query.Get("endpoint"); endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		// Servers other than Amazon's know neither host names per bucket for
		// sure, nor the newer checksums. Snapshots have their own.
		o.UsePathStyle = o.BaseEndpoint != nil
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	prefix := strings.Trim(path.Clean(u.Path), "/.")
	if prefix != "" {
		prefix += "/"
	}
	return &bucket{client: client, bucket: u.Host, prefix: prefix}, nil
}

func (b *bucket) Name() string { return "s3://" + b.bucket + "/" + strings.TrimSuffix(b.prefix, "/") }
func (b *bucket) Close() error { return nil }

func (b *bucket) key(serial Serial) string { return b.prefix + serial.String() + snapshotSuffix }

// condition is what a put demands of what is there: nothing at all, or exactly
// the version.
func condition(version string) (ifMatch, ifNoneMatch *string) {
	if version == "" {
		return nil, aws.String("*")
	}
	return aws.String(version), nil
}

// errCondition is a put whose condition was not met.
var errCondition = errors.New("the condition is not met")

// put makes a conditional put and returns the version of what it wrote.
func (b *bucket) put(ctx context.Context, key, version string, data []byte) (string, error) {
	ifMatch, ifNoneMatch := condition(version)
	for i := 0; ; i++ {
		out, err := b.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &b.bucket, Key: &key, Body: bytes.NewReader(data), ContentType: aws.String("application/json"),
			IfMatch: ifMatch, IfNoneMatch: ifNoneMatch,
		})
		if err == nil {
			return aws.ToString(out.ETag), nil
		}
		// 409 is another's put at the same moment: the server asks to try again.
		if statusOf(err) != http.StatusConflict || !again(ctx, i, 50*time.Millisecond) {
			return "", bucketError(err)
		}
	}
}

func statusOf(err error) int {
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// bucketError gives the answers of a server the names of the contract.
func bucketError(err error) error {
	code := ""
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		code = answer.ErrorCode()
	}
	switch status := statusOf(err); {
	case code == "NoSuchBucket":
		return err
	case status == http.StatusPreconditionFailed:
		return errCondition
	case status == http.StatusNotFound:
		return ErrAbsent
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case status == http.StatusInsufficientStorage || code == "QuotaExceeded" || code == "XMinioStorageFull":
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (b *bucket) Put(ctx context.Context, serial Serial, data []byte) error {
	_, err := b.put(ctx, b.key(serial), "", data)
	if errors.Is(err, errCondition) {
		return ErrExists
	}
	return err
}

func (b *bucket) Get(ctx context.Context, serial Serial) ([]byte, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: aws.String(b.key(serial))})
	if err != nil {
		return nil, bucketError(err)
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// inOrder is the first number from which on the order of names is no longer
// that of numbers.
const inOrder = 100_000

func (b *bucket) List(ctx context.Context, after Serial) ([]Serial, error) {
	input := &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &b.prefix, Delimiter: aws.String("/")}
	if after > 0 && after < inOrder {
		input.StartAfter = aws.String(b.key(after))
	}
	var serials []Serial
	for pages := s3.NewListObjectsV2Paginator(b.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, bucketError(err)
		}
		for _, object := range page.Contents {
			name, ok := strings.CutSuffix(strings.TrimPrefix(aws.ToString(object.Key), b.prefix), snapshotSuffix)
			if serial, valid := parseSerial(name); ok && valid && serial > after {
				serials = append(serials, serial)
			}
		}
	}
	slices.Sort(serials)
	return serials, nil
}

func (b *bucket) Delete(ctx context.Context, serial Serial) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: aws.String(b.key(serial))})
	if err = bucketError(err); errors.Is(err, ErrAbsent) {
		return nil
	}
	return err
}

// Lease takes the age from the server's date and its time of the last change.
// Both are in whole seconds.
func (b *bucket) Lease(ctx context.Context) (Record, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: aws.String(b.prefix + leaseFile)})
	if err = bucketError(err); errors.Is(err, ErrAbsent) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return Record{}, err
	}
	now, ok := middleware.GetServerTime(out.ResultMetadata)
	if !ok || out.LastModified == nil {
		return Record{}, errors.New("the server does not say when the lease was written")
	}
	return Record{Data: data, Version: aws.ToString(out.ETag), Age: now.Sub(*out.LastModified)}, nil
}

func (b *bucket) SwapLease(ctx context.Context, version string, data []byte) (string, error) {
	next, err := b.put(ctx, b.prefix+leaseFile, version, data)
	if errors.Is(err, errCondition) || version != "" && errors.Is(err, ErrAbsent) {
		return "", ErrMoved
	}
	if err == nil && !b.proven.Load() {
		err = b.prove(ctx, data)
	}
	if err != nil {
		return "", err
	}
	return next, nil
}

// prove makes two puts of what is in the lease anyhow that must be refused. A
// server that passes over conditions could give one number, or one lease, twice.
func (b *bucket) prove(ctx context.Context, data []byte) error {
	const never = `"00000000000000000000000000000000"`
	for _, version := range []string{"", never} {
		_, err := b.put(ctx, b.prefix+leaseFile, version, data)
		if err == nil {
			return ErrUnfit
		}
		if !errors.Is(err, errCondition) {
			return err
		}
	}
	b.proven.Store(true)
	return nil
}
