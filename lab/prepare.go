package lab

import (
	"context"

	"github.com/cloudship/cloudship/lab/image"
)

// Prepare makes the images that a lab of containers starts from: the Debian base image, from which
// examples build theirs as well, and the server image of Debian 12. The first time it takes a
// minute or two; afterwards it does nothing. Progress is told a line at a time.
func Prepare(ctx context.Context, progress func(string)) error {
	if err := image.EnsureBase(ctx, progress); err != nil {
		return err
	}
	_, err := image.Ensure(ctx, "debian-12-x64", progress)
	return err
}
