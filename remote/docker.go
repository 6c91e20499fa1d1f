package remote

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/moby/moby/client"
)

// dockerSocket is where the engine listens on a host.
const dockerSocket = "/var/run/docker.sock"

// MinDockerAPI is the oldest Docker API spoken to a host: Docker 20.10's.
const MinDockerAPI = "1.41"

// DockerError says that the engine on a host did not answer, or speaks no
// version of its API that we do.
type DockerError struct {
	Address string
	// API is the newest version that the engine offers; empty when it did not
	// answer.
	API string
	// Hint is what to do about it; it may be empty.
	Hint string
	Err  error
}

func (e *DockerError) Error() string {
	if e.API != "" {
		return fmt.Sprintf("docker on %s offers API %s at most, cloudship needs %s to %s (Docker 20.10 or newer)",
			e.Address, e.API, MinDockerAPI, client.MaxAPIVersion)
	}
	return fmt.Sprintf("docker on %s: %v", e.Address, e.Err)
}

func (e *DockerError) Unwrap() error { return e.Err }

// Docker answers a client of the host's Docker API that runs over the SSH
// connection, after it has agreed on a version with the engine. The caller
// closes it. The error is a *DockerError.
func (h *Host) Docker(ctx context.Context) (*client.Client, error) {
	return h.dockerAt(ctx, dockerSocket)
}

func (h *Host) dockerAt(ctx context.Context, socket string) (*client.Client, error) {
	docker, err := client.New(
		client.WithHost("unix://"+socket),
		client.WithUserAgent("cloudship"),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.DialContext(ctx, "unix", socket)
		}),
	)
	if err != nil {
		return nil, &DockerError{Address: h.target.Address, Err: err}
	}
	ping, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err == nil && olderThan(ping.APIVersion, MinDockerAPI) {
		err = errors.New("its API is too old")
	}
	if err == nil {
		return docker, nil
	}
	_ = docker.Close()
	failed := &DockerError{Address: h.target.Address, Err: err}
	if olderThan(ping.APIVersion, MinDockerAPI) {
		failed.API = ping.APIVersion
	}
	if h.target.login() != "root" {
		failed.Hint = "log in as root, or add " + h.target.login() + " to the group docker"
	}
	return nil, failed
}

// olderThan compares API versions such as 1.9 and 1.41; an unknown one is not
// older.
func olderThan(version, than string) bool {
	var major, minor, thanMajor, thanMinor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); n != 2 || err != nil {
		return false
	}
	if n, err := fmt.Sscanf(than, "%d.%d", &thanMajor, &thanMinor); n != 2 || err != nil {
		return false
	}
	return major < thanMajor || major == thanMajor && minor < thanMinor
}
