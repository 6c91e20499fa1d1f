package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// cloudInitScript waits until cloud-init has done its work of this boot. It
// answers 0 when done and 2 when done with recoverable errors. Where there is
// no cloud-init, or it is switched off, there is nothing to wait for.
const cloudInitScript = `command -v cloud-init >/dev/null || exit 0
cloud-init status --wait`

// cloudInitDone are the statuses by which cloud-init says that it ended,
// itself or with complaints that do not concern us (1 is an error in some
// module, and the server is as good as it gets).
var cloudInitDone = []int{0, 1, 2}

// WaitCloudInit waits until cloud-init has ended. It restarts sshd, installs
// packages and writes keys until then, so nothing should be changed before.
// Once it has ended, asking again costs nothing.
func (h *Host) WaitCloudInit(ctx context.Context, progress func(string)) error {
	if h.settled.Load() {
		return nil
	}
	if progress != nil {
		progress("waiting for cloud-init")
	}
	for {
		_, err := h.Run(ctx, Script(cloudInitScript).AsRoot())
		var exit *ExitError
		switch {
		case err == nil:
			h.settled.Store(true)
			return nil
		case errors.As(err, &exit) && slices.Contains(cloudInitDone, exit.Code):
			if progress != nil {
				progress("cloud-init ended, not without errors (cloud-init status --long)")
			}
			h.settled.Store(true)
			return nil
		case ctx.Err() == nil && errors.Is(err, ErrClosed):
			// cloud-init restarted sshd or the network under our connection.
			if err := h.redial(ctx, h.line.Load().identity, connectTimeout*4); err != nil {
				return fmt.Errorf("wait for cloud-init: %w", err)
			}
		default:
			return fmt.Errorf("wait for cloud-init: %w", err)
		}
	}
}
