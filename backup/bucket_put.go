package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// putMark is the metadata by which a Put knows its own object again when an answer was lost.
const putMark = "cloudship-put"

// slowest is the slowest line that is waited for, in bytes a second.
const slowest = 32 << 10

func (b *bucket) Put(ctx context.Context, name string, content io.Reader) error {
	if err := checkObject(name); err != nil {
		return err
	}
	// A server that passes over conditions is at least asked before.
	if _, exists, err := b.head(ctx, b.key(name)); err != nil || exists {
		return errors.Join(err, existsIf(exists))
	}
	part := make([]byte, b.partSize)
	n, err := io.ReadFull(withContext{ctx, content}, part)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return b.putWhole(ctx, b.key(name), part[:n])
	case err != nil:
		return err
	}
	return b.putParts(ctx, b.key(name), part, withContext{ctx, content})
}

func existsIf(exists bool) error {
	if exists {
		return ErrExists
	}
	return nil
}

// head returns the mark of an object and whether it exists.
func (b *bucket) head(ctx context.Context, key *string) (mark string, exists bool, err error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: key})
	if statusOf(err) == http.StatusNotFound {
		return "", false, nil
	}
	if err != nil {
		return "", false, b.named(ctx, err)
	}
	return out.Metadata[putMark], true, nil
}

// once runs a conditional call; where the server does not know conditions, without one.
func (b *bucket) once(call func(ifNoneMatch *string) error) error {
	if b.unconditional.Load() {
		return call(nil)
	}
	err := call(aws.String("*"))
	for tries := 0; statusOf(err) == http.StatusConflict && tries < 5; tries++ {
		err = call(aws.String("*")) // another's put at the same moment: the server asks to try again
	}
	if statusOf(err) == http.StatusNotImplemented {
		b.unconditional.Store(true)
		err = call(nil)
	}
	return err
}

// putWhole puts an object of at most one part.
func (b *bucket) putWhole(ctx context.Context, key *string, data []byte) error {
	ctx, cancel := partTime(ctx, len(data))
	defer cancel()
	mark := rand.Text()
	err := b.once(func(ifNoneMatch *string) error {
		_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &b.bucket, Key: key, Body: bytes.NewReader(data), IfNoneMatch: ifNoneMatch,
			Metadata: map[string]string{putMark: mark}, ContentType: aws.String("application/octet-stream"),
		})
		return err
	})
	return b.settle(ctx, key, mark, err)
}

// settle looks after a failed put: the object may be there, and ours, and the answer to a first try
// have been lost.
func (b *bucket) settle(ctx context.Context, key *string, mark string, err error) error {
	if err == nil {
		return nil
	}
	err = b.named(ctx, err)
	if context.Cause(ctx) != nil {
		return err
	}
	if have, exists, lookErr := b.head(ctx, key); lookErr == nil && exists && have == mark {
		return nil
	}
	return err
}

// partTime bounds one request that sends n bytes.
func partTime(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	limit := answerTime + time.Duration(n/slowest)*time.Second
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: %d bytes were not taken in %v", ErrUnreachable, n, limit))
}

// putParts puts an object part by part. first is the first of them, and its memory that of all.
func (b *bucket) putParts(ctx context.Context, key *string, first []byte, content io.Reader) error {
	mark := rand.Text()
	created, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.bucket, Key: key, Metadata: map[string]string{putMark: mark}, ContentType: aws.String("application/octet-stream"),
	})
	if err != nil {
		return b.named(ctx, err)
	}
	parts, err := b.sendParts(ctx, key, created.UploadId, first, content)
	if err == nil {
		err = b.once(func(ifNoneMatch *string) error {
			_, err := b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: &b.bucket, Key: key, UploadId: created.UploadId, IfNoneMatch: ifNoneMatch,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
			})
			return err
		})
		err = b.settle(ctx, key, mark, err)
	}
	if err != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer cancel()
		_ = b.abort(last, key, created.UploadId) // else Sweep does
	}
	return err
}

// sendParts sends all parts; they are of one size, but for the last, as some servers demand.
func (b *bucket) sendParts(ctx context.Context, key, id *string, part []byte, content io.Reader) ([]types.CompletedPart, error) {
	var parts []types.CompletedPart
	for n := len(part); n > 0; {
		if len(parts) == mostParts {
			return nil, fmt.Errorf("it is larger than %d parts of %d MiB: give the bucket's URL a larger part_size", mostParts, b.partSize>>20)
		}
		number := aws.Int32(int32(len(parts) + 1))
		etag, err := b.sendPart(ctx, key, id, number, part[:n])
		if err != nil {
			return nil, err
		}
		parts = append(parts, types.CompletedPart{ETag: etag, PartNumber: number})
		if n < len(part) {
			break
		}
		n, err = io.ReadFull(content, part)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
	}
	return parts, context.Cause(ctx)
}

func (b *bucket) sendPart(ctx context.Context, key, id *string, number *int32, data []byte) (*string, error) {
	ctx, cancel := partTime(ctx, len(data))
	defer cancel()
	out, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &b.bucket, Key: key, UploadId: id, PartNumber: number, Body: bytes.NewReader(data),
	})
	if err != nil {
		return nil, b.named(ctx, err)
	}
	return out.ETag, nil
}
