package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the program into a folder of its own, which remove removes.
func Build(ctx context.Context) (program string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "cloudship-build-")
	if err != nil {
		return "", nil, err
	}
	program = filepath.Join(dir, "cloudship")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/cloudship/cloudship/cmd/cloudship").CombinedOutput()
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("build cloudship: %w: %s", err, out), os.RemoveAll(dir))
	}
	return program, func() { _ = os.RemoveAll(dir) }, nil
}
