package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/cloudship/cloudship/lab/balancer"
)

// publisher listens for others on ports that this user may not bind.
type publisher interface {
	Publish(ctx context.Context, name, address string, ports map[int]int) error
	Unpublish(ctx context.Context, name string) error
}

// doors is a balancer whose low ports are published by somebody else: it
// listens on high ones itself.
type doors struct {
	balancer.Balancer
	publisher publisher
	id        string
	open      map[int]int // the high port behind each low one
}

// startBalancer starts a balancer on the ports that its rules name, or, where
// this user may not bind them, behind doors.
func startBalancer(ctx context.Context, c balancer.Config, p publisher, log *slog.Logger) (balancer.Balancer, error) {
	b, err := balancer.New(ctx, c, log)
	if !errors.Is(err, os.ErrPermission) {
		return b, err
	}
	high, ports := raise(c)
	if b, err = balancer.New(ctx, high, log); err != nil {
		return nil, err
	}
	d := &doors{Balancer: b, publisher: p, id: c.ID}
	if err := d.publish(ctx, c.Address, ports); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Apply changes the configuration, and the doors if the ports are others.
func (d *doors) Apply(ctx context.Context, c balancer.Config) error {
	high, ports := raise(c)
	if err := d.Balancer.Apply(ctx, high); err != nil {
		return err
	}
	return d.publish(ctx, c.Address, ports)
}

func (d *doors) publish(ctx context.Context, address string, ports map[int]int) error {
	if maps.Equal(d.open, ports) {
		return nil
	}
	if err := d.publisher.Publish(ctx, d.name(), address, ports); err != nil {
		return fmt.Errorf("ports of balancer %s: %w", d.id, err)
	}
	d.open = ports
	return nil
}

func (d *doors) name() string { return "ports-" + d.id }

// Close ends the balancer and its doors.
func (d *doors) Close() error {
	return errors.Join(d.Balancer.Close(), d.publisher.Unpublish(context.Background(), d.name()))
}

// Ports below firstFree are the system's; raised ones are that much higher.
const (
	firstFree = 1024
	raiseBy   = 20000
)

// raise moves the low ports of a configuration up, and tells which.
func raise(c balancer.Config) (high balancer.Config, ports map[int]int) {
	ports = map[int]int{}
	c.Rules = slices.Clone(c.Rules)
	for i, r := range c.Rules {
		if r.EntryPort < firstFree {
			c.Rules[i].EntryPort += raiseBy
			ports[r.EntryPort] = c.Rules[i].EntryPort
		}
	}
	return c, ports
}
