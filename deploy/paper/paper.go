// Package paper has the driver for servers that exist only on paper, in the lab. What package
// deploy does to a real server over SSH is noted there in files, one motion a file, so that a kill
// in the middle leaves what was done, and what was done goes with its server. A thousand servers
// cost a thousand requests to loopback, and a whole stack can be tried, killed and mended in
// seconds.
//
// A release can be told to go wrong by a label on one of its services; see Fails.
package paper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// Variable names the environment variable that says where paper servers are reached: the lab's
// URL. 'cloudship lab env' sets it where servers are on paper.
const Variable = "CLOUDSHIP_PAPER"

// Fails is the label by which a service fails on paper: at "start" its containers do not become
// healthy, at "test" and "gate" its group does not pass that phase of a switch, and at "watch" it
// stops to answer once it is live.
const Fails = "paper.fails"

// Options are what the driver needs to know of the stack.
type Options struct {
	URL     string   // of the lab
	Dir     string   // the stack's folder: where test commands run
	Environ []string // of test commands
	Keep    int      // releases that a server keeps; 0: five
	Probe   bool     // false: --no-probe
}

// Driver serves the kinds docker, release, certificate and route on paper servers.
type Driver struct {
	options Options
	hosts   hosts

	mu   sync.Mutex
	down map[resource.Address]bool // routes whose probes failed before their switch
}

var _ resource.Driver = (*Driver)(nil)

// Open makes a driver. Nothing is asked yet.
func Open(o Options) (*Driver, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Scheme != "http" {
		return nil, fmt.Errorf("%s is %q: want the URL of a lab", Variable, o.URL)
	}
	if ip := net.ParseIP(base.Hostname()); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is %q: a lab is on this machine", Variable, o.URL)
	}
	if o.Keep <= 0 {
		o.Keep = 5
	}
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	return &Driver{
		options: o, down: map[resource.Address]bool{},
		hosts: hosts{url: base.JoinPath("hosts").String(), client: &http.Client{Transport: transport}},
	}, nil
}

// Close ends all connections.
func (d *Driver) Close() { d.hosts.client.CloseIdleConnections() }

// Image tells what an image is, without asking anybody: its digest is that of its name, and builds
// are not made.
func Image(_ context.Context, r template.ImageRequest) (template.Image, error) {
	sum := sha256.Sum256([]byte(r.Name))
	return template.Image{Name: r.Name, Platform: r.Platform, Source: template.FromRegistry, Digest: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// atOnce is how many servers are asked at a time.
const atOnce = 32

// List asks the servers in q.Peers in parallel. A server that does not answer makes what is on it
// unknown.
func (d *Driver) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	var (
		mu      sync.Mutex
		listing resource.Listing
		wg      sync.WaitGroup
		slots   = make(chan struct{}, atOnce)
	)
	for a, peer := range q.Peers {
		switch a.Kind() {
		case resource.KindRoute:
			mu.Lock()
			listing.Found = append(listing.Found, peer) // nowhere but in memory
			mu.Unlock()
		case resource.KindServer:
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				found, err := d.look(ctx, peer)
				mu.Lock()
				defer mu.Unlock()
				listing.Found = append(listing.Found, found...)
				if err != nil {
					for _, on := range livingOn(q, a) {
						listing.Unknown = append(listing.Unknown, resource.Unknown{Address: on, Reason: err.Error()})
					}
				}
			})
		}
	}
	wg.Wait()
	return listing, ctx.Err()
}

// livingOn lists what may live on a server.
func livingOn(q resource.Query, server resource.Address) []resource.Address {
	list := []resource.Address{resource.DockerOn(server.Name, server.Index), resource.ReleaseOn(server.Name, server.Index)}
	for a, peer := range q.Peers {
		if spec, ok := peer.Spec.(*resource.CertificateSpec); ok && spec.Server == server {
			list = append(list, a)
		}
	}
	return list
}

// Read returns one resource anew.
func (d *Driver) Read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	a := have.Mark.Address
	if !a.Kind().OnHost() {
		return have, nil
	}
	on := resource.Server(a.Name, a.Index)
	if spec, ok := have.Spec.(*resource.CertificateSpec); ok {
		on = spec.Server
	}
	server, ok := q.Peers[on]
	if !ok {
		return have, &resource.Error{Kind: resource.Gone, Op: "read", Address: a, Message: "its server is gone"}
	}
	found, err := d.look(ctx, server)
	if err != nil {
		return have, err
	}
	for _, f := range found {
		if f.Mark.Address == a {
			return f, nil
		}
	}
	return have, &resource.Error{Kind: resource.Gone, Op: "read", Address: a, Message: "not on the server"}
}

// Create makes a server ready for releases, deploys a release, or does a phase of a switch. All of
// these are idempotent.
func (d *Driver) Create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		switch spec := item.Spec.(type) {
		case *resource.DockerSpec:
			return d.putDocker(ctx, c, item.Mark, spec)
		case *resource.ReleaseSpec:
			return d.putRelease(ctx, c, item, spec)
		case *resource.CertificateSpec:
			return d.putCertificate(ctx, c, item.Mark, spec)
		case *resource.RouteSpec:
			return d.putRoute(ctx, c, item, spec)
		}
		return nil, fmt.Errorf("%s is of no kind that servers have", item.Mark.Address)
	})
}

// Update does the same as Create.
func (d *Driver) Update(ctx context.Context, c resource.Call) []resource.Result {
	return d.Create(ctx, c)
}

// Delete removes a release's containers or a certificate; all else goes with its server.
func (d *Driver) Delete(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		switch item.Mark.Address.Kind() {
		case resource.KindRelease:
			return nil, d.removeRelease(ctx, c, item)
		case resource.KindCertificate:
			return nil, d.removeCertificate(ctx, c, item)
		}
		return nil, nil
	})
}

func each(c resource.Call, do func(resource.Item) (*resource.Found, error)) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	for i, item := range c.Items {
		found, err := do(item)
		results[i] = resource.Result{Address: item.Mark.Address, Found: found, Err: err}
	}
	return results
}
