// Package lab is the local cloud: the providers' APIs on loopback, with
// servers and load balancers behind them. The servers are real ones in
// containers, or exist only on paper, thousands at a time. Start runs a lab
// inside this process, as tests do; Up runs one in the background, as the
// command does.
package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/lab/balancer"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/digitalocean"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/cloudship/cloudship/lab/rackspace"
)

// What a lab's servers can be.
const (
	Paper      = "paper"      // servers only on paper; needs nothing
	Containers = "containers" // real servers in Docker containers
)

// The providers that the lab has, by their names.
const (
	DigitalOcean = "digitalocean"
	Rackspace    = "rackspace"
)

// rackspacePath is where Rackspace's APIs are; DigitalOcean's has the rest.
const rackspacePath = "/rackspace"

// Options are how a lab shall be. The zero value is a lab on paper that keeps
// nothing, with realistic times and limits.
type Options struct {
	// Servers is Paper or Containers; empty means Paper.
	Servers string
	// Dir is the lab's data folder, where it keeps what its cloud holds. Empty
	// means that nothing is kept.
	Dir string
	// Faults are the settings to start from; nil means cloud.Realistic for
	// containers, and the same without an account limit for paper.
	Faults *cloud.Settings
	// Token is what DigitalOcean's API accepts; Rackspace's key follows from
	// it. Empty means the one that the data folder names, else a random one.
	Token string
	// Listen is the address to serve on; empty means the one that the data
	// folder names, if it is free, else any free port of 127.0.0.1.
	Listen string
	// Log is where the lab tells what it does; nil means nowhere.
	Log *slog.Logger
}

// Lab is a running lab.
type Lab struct {
	options   Options
	gate      *cloud.Gate
	host      machine.Host
	servers   *cloud.Servers
	balancers *cloud.Balancers
	addresses *cloud.Loopback
	ocean     *digitalocean.API
	rack      *rackspace.API
	listener  net.Listener
	server    *http.Server
	stop      context.CancelFunc
	saved     [2][]byte // what the clouds held when they were saved last
	written   int       // how often paper servers had been written to then
	running   sync.WaitGroup
	closing   sync.Once
	closed    error
}

// Start runs a lab until Close; ctx bounds the start only. With a data folder
// it takes up what an earlier lab there has left.
func Start(ctx context.Context, o Options) (*Lab, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Servers == "" {
		o.Servers = Paper
	}
	if o.Faults == nil {
		s := cloud.Realistic()
		if o.Servers == Paper {
			s.Limits.Servers = 0
		}
		o.Faults = &s
	}
	saved, err := load(o.Dir)
	if err != nil {
		return nil, err
	}
	if saved.Servers != "" && saved.Servers != o.Servers {
		return nil, fmt.Errorf("lab in %s has its servers as %s: take it down first to have %s", o.Dir, saved.Servers, o.Servers)
	}
	o.take(saved)
	l := &Lab{options: o}
	if err := l.build(ctx, saved); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// take fills in what the options leave open.
func (o *Options) take(s saved) {
	if o.Token == "" {
		o.Token = s.Token
	}
	if o.Token == "" {
		var b [32]byte
		rand.Read(b[:])
		o.Token = "dop_v1_" + hex.EncodeToString(b[:])
	}
	if o.Listen == "" {
		o.Listen = s.Listen
	}
	if o.Listen == "" {
		o.Listen = anyPort
	}
}

// anyPort lets the system choose one.
const anyPort = "127.0.0.1:0"

// build puts the parts together and starts them; what it has built when it
// fails is Close's to take down.
func (l *Lab) build(start context.Context, s saved) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(start))
	l.stop = stop
	if err := l.open(start, s); err != nil {
		return err
	}
	changed := func() {
		l.ocean.Wake()
		l.rack.Wake()
	}
	l.servers = cloud.NewServers(ctx, l.host, changed, l.options.Log)
	l.balancers = cloud.NewBalancers(ctx, l.startBalancer, changed, l.options.Log)
	l.gate = cloud.NewGate(ctx, cloud.NewFaults(*l.options.Faults))
	l.adminRoutes()
	l.ocean = digitalocean.New(digitalocean.Options{
		Token: l.options.Token, Faults: l.gate.Faults(), Servers: l.servers,
		Balancers: l.balancers, Addresses: l.addresses, Images: slugs(l.options), Log: l.options.Log,
	})
	l.rack = rackspace.New(rackspace.Options{
		Prefix: rackspacePath, Username: rackspaceUser, APIKey: rackspaceKey(l.options.Token), Faults: l.gate.Faults(), Servers: l.servers,
		Balancers: l.balancers, Addresses: l.addresses, Images: slugs(l.options), Log: l.options.Log,
	})
	if err := l.servers.Restore(start); err != nil {
		return err
	}
	if err := errors.Join(l.ocean.Restore(s.DigitalOcean), l.rack.Restore(s.Rackspace)); err != nil {
		return err
	}
	l.server = &http.Server{Handler: l.handler(), ReadHeaderTimeout: time.Minute}
	l.running.Go(func() { l.ocean.Run(ctx) })
	l.running.Go(func() { l.rack.Run(ctx) })
	l.running.Go(func() { l.server.Serve(l.listener) })
	if l.options.Dir != "" {
		l.running.Go(func() { l.keepSaving(ctx) })
	}
	return nil
}

// open takes what the lab needs from the system.
func (l *Lab) open(ctx context.Context, s saved) (err error) {
	if l.host, err = newHost(ctx, l.options, s); err != nil {
		return err
	}
	wanted := fnv.New32a()
	wanted.Write([]byte(l.options.Dir))
	if l.options.Dir == "" {
		wanted.Write([]byte(l.options.Token))
	}
	if l.addresses, err = cloud.NewLoopback(ctx, wanted.Sum32()); err != nil {
		return err
	}
	var lc net.ListenConfig
	l.listener, err = lc.Listen(ctx, "tcp", l.options.Listen)
	if errors.Is(err, syscall.EADDRINUSE) && l.options.Listen == s.Listen {
		l.options.Log.Warn("somebody else has taken the lab's port", "address", s.Listen)
		l.listener, err = lc.Listen(ctx, "tcp", anyPort)
	}
	if err != nil {
		return fmt.Errorf("serve the lab: %w", err)
	}
	return nil
}

func (l *Lab) startBalancer(ctx context.Context, c balancer.Config, log *slog.Logger) (balancer.Balancer, error) {
	if paper, ok := l.host.(*machine.Paper); ok {
		return balancer.NewPaper(ctx, c, paper.Running, log)
	}
	return balancer.New(ctx, c, log)
}

// Close ends the lab. Its servers stay where they are, and a lab with a data
// folder can be started again. It may be called more than once.
func (l *Lab) Close() error {
	l.closing.Do(func() { l.closed = l.close() })
	return l.closed
}

func (l *Lab) close() error {
	var errs []error
	l.stop()
	if l.server != nil {
		errs = append(errs, l.server.Close())
	} else if l.listener != nil {
		errs = append(errs, l.listener.Close())
	}
	l.running.Wait()
	if l.balancers != nil {
		l.balancers.Close()
		l.servers.Wait()
	}
	if l.server != nil && l.options.Dir != "" {
		errs = append(errs, l.save(context.Background()))
	}
	if l.host != nil {
		errs = append(errs, l.host.Close())
	}
	if l.addresses != nil {
		errs = append(errs, l.addresses.Close())
	}
	return errors.Join(errs...)
}

// URL is where a provider's API is served, without a slash at its end; empty
// for a provider that the lab does not have.
func (l *Lab) URL(provider string) string {
	at := "http://" + l.listener.Addr().String()
	switch provider {
	case DigitalOcean:
		return at
	case Rackspace:
		return at + rackspacePath
	}
	return ""
}

// Token is what DigitalOcean's API accepts.
func (l *Lab) Token() string { return l.options.Token }

// Calls is the log of the calls to all APIs.
func (l *Lab) Calls() *cloud.Calls { return l.gate.Calls() }

// Faults are the settings of the cloud: its times, limits and faults.
func (l *Lab) Faults() *cloud.Faults { return l.gate.Faults() }

// Barrier is where a rule that holds a call holds it.
func (l *Lab) Barrier() *cloud.Barrier { return l.gate.Faults().Barrier() }
