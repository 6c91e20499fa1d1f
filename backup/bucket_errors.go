package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// statusOf is the status of a server's answer; 0 is none.
func statusOf(err error) int {
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// named gives the answers of a server the names of the contract.
func (b *bucket) named(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	code := ""
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		code = answer.ErrorCode()
	}
	switch status := statusOf(err); {
	case code == "NoSuchBucket":
		return &noBucketError{b.bucket, err}
	case status == http.StatusPreconditionFailed:
		return ErrExists
	case status == http.StatusNotFound:
		return ErrAbsent
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case status == http.StatusInsufficientStorage || code == "QuotaExceeded" || code == "XMinioStorageFull":
		return fmt.Errorf("%w: %w", ErrFull, err)
	case status == 0 || status >= 500:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// noBucketError is a bucket that is not there: nothing may be concluded for its objects.
type noBucketError struct {
	bucket string
	cause  error
}

func (e *noBucketError) Error() string { return fmt.Sprintf("there is no bucket %s", e.bucket) }
func (e *noBucketError) Unwrap() error { return e.cause }

// Hint says what to do.
func (e *noBucketError) Hint() string { return "make the bucket, or correct its name and endpoint" }
