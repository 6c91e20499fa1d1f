package deploy

import (
	"context"
	"io"
	"io/fs"
	"net"

	"github.com/cloudship/cloudship/remote"
)

// machine is a server as a rollout works on it: a *remote.Host.
type machine interface {
	Run(ctx context.Context, c remote.Command) (remote.Output, error)
	Exec(ctx context.Context, c remote.Command, stdin io.Reader, stdout, stderr io.Writer) error
	ReadFile(ctx context.Context, path string) ([]byte, error)
	WriteFile(ctx context.Context, path string, mode fs.FileMode, owner string, content []byte) error
	RemoveFile(ctx context.Context, path string) error
	ListDir(ctx context.Context, path string) ([]string, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

var _ machine = (*remote.Host)(nil)
