package remote

import (
	"context"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A line that is dead without saying so is closed when it gives no sign of life.
func TestKeepAliveClosesADeadLine(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	s.deafen()
	h := dial(t, target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}}))
	h.line.Load().keepAlive(t.Context(), 50*time.Millisecond)
	<-h.Done()
}

func TestKeepAliveKeepsALivingLine(t *testing.T) {
	h, _ := dialed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	h.line.Load().keepAlive(ctx, 50*time.Millisecond)
	<-ctx.Done()
}
