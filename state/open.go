package state

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Open returns the store that a place names:
//
//	cloudship.state                                    a local folder
//	s3://bucket/prefix?region=eu-1&endpoint=https://…  an S3-compatible bucket; credentials from the environment
//	postgres://user@host/database?prefix=shop          a PostgreSQL database
//
// Each stack has a place of its own: a folder, or a prefix. Nothing is made and
// nobody is asked until the store is used.
func Open(ctx context.Context, place string) (Store, error) {
	scheme, _, ok := strings.Cut(place, "://")
	switch {
	case place == "":
		return nil, errors.New("open the state: no place is given")
	case !ok:
		return Local(place), nil
	}
	u, err := url.Parse(place)
	if err != nil { // its words may quote a password
		return nil, errors.New("open the state: its place is no URL")
	}
	switch scheme {
	case "file":
		return Local(u.Path), nil
	case "s3":
		return openS3(ctx, u)
	case "postgres", "postgresql":
		return openPostgres(ctx, u)
	}
	return nil, fmt.Errorf("open the state: %q is no kind of store: want a folder, s3:// or postgres://", scheme)
}

// onlyKnown refuses parameters that would be passed over in silence.
func onlyKnown(u *url.URL, known ...string) error {
	for name := range u.Query() {
		if !slices.Contains(known, name) {
			return fmt.Errorf("open the state: parameter %q is unknown, want one of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}
