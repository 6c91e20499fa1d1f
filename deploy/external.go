package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// externalPatience is how long an external service may take to accept a connection.
const externalPatience = 10 * time.Second

// dialer opens connections from a server.
type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// reachable tries, from a server, every service that the stack uses but does not own. All that do
// not accept a connection are named.
func reachable(ctx context.Context, from dialer, externals map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(externals)) {
		one, cancel := context.WithTimeout(ctx, externalPatience)
		conn, err := from.DialContext(one, "tcp", externals[name])
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("external %s (%s): %w", name, externals[name], err))
			continue
		}
		_ = conn.Close()
	}
	if len(errs) == 0 {
		return nil
	}
	return resource.WithHint(errors.Join(errs...), "nothing was changed on this server; is the service up, and may this server reach it?")
}

// Reachable tries the stack's external services from a server that is enrolled.
func (d *Driver) Reachable(ctx context.Context, server resource.Found) error {
	host, err := d.hosts.Reach(ctx, server, true, nil)
	if err != nil {
		return err
	}
	if err := reachable(ctx, host, d.releases.options.Externals); err != nil {
		return fmt.Errorf("from %s: %w", server.Mark.Address, err)
	}
	return nil
}
