// Package deploy has the drivers for what lives on servers: Docker on a server, a release on that,
// and the route that makes a group live. It does the rollout of containers, health and drain, hooks,
// image transfer, and the phases of a switch.
//
// Everything is done from here over one SSH connection a server: no agent runs there. What a server
// must remember (its releases, the route's last commit) it keeps in files under /var/lib/cloudship.
package deploy

import (
	"context"
	"fmt"
	"sync"

	"github.com/cloudship/cloudship/resource"
)

// Driver serves the kinds docker, release, certificate and route. It holds the connections to the stack's
// servers; Close ends them.
type Driver struct {
	hosts        *Hosts
	releases     *releases
	certificates *certificates
	routes       *routes
}

// Open makes a driver for a stack. Nothing is connected before the first call.
func Open(o Options) *Driver {
	hosts := newHosts(o)
	return &Driver{
		hosts:        hosts,
		releases:     &releases{hosts: hosts, options: o},
		certificates: &certificates{hosts: hosts, options: o},
		routes:       &routes{hosts: hosts, options: o},
	}
}

// Close ends all connections.
func (d *Driver) Close() {
	d.routes.close()
	d.hosts.Close()
}

// Hosts gives the connections, for commands that talk to servers directly.
func (d *Driver) Hosts() *Hosts { return d.hosts }

var _ resource.Driver = (*Driver)(nil)

// List asks the servers in q.Peers in parallel. A server that does not answer makes what is on it
// unknown.
func (d *Driver) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	var (
		mu      sync.Mutex
		listing resource.Listing
		wg      sync.WaitGroup
		slots   = make(chan struct{}, maxParallelHosts)
	)
	for a, server := range q.Peers {
		if a.Kind() != resource.KindServer {
			continue
		}
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			found, err := d.look(ctx, q, server)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				for _, on := range livingOn(q, a) {
					listing.Unknown = append(listing.Unknown, resource.Unknown{Address: on, Reason: err.Error()})
				}
				return
			}
			listing.Found = append(listing.Found, found...)
		}()
	}
	wg.Wait()
	for a, route := range q.Peers {
		if a.Kind() == resource.KindRoute {
			listing.Found = append(listing.Found, route) // nowhere but in memory
		}
	}
	return listing, ctx.Err()
}

// livingOn lists what may live on a server: Docker, a release, and the certificates that are known.
func livingOn(q resource.Query, server resource.Address) []resource.Address {
	list := []resource.Address{resource.DockerOn(server.Name, server.Index), resource.ReleaseOn(server.Name, server.Index)}
	for a, peer := range q.Peers {
		if spec, ok := peer.Spec.(*resource.CertificateSpec); ok && spec.Server == server {
			list = append(list, a)
		}
	}
	return list
}

// maxParallelHosts is how many servers are asked at a time.
const maxParallelHosts = 32

// look finds Docker and the release on one server.
func (d *Driver) look(ctx context.Context, q resource.Query, server resource.Found) ([]resource.Found, error) {
	a := server.Mark.Address
	docker, known := q.Peers[resource.DockerOn(a.Name, a.Index)]
	host, err := d.hosts.Reach(ctx, server, known && docker.Facts.Enrolled, nil)
	if err != nil {
		return nil, err
	}
	on, err := d.hosts.lookDocker(ctx, host, server)
	if err != nil || on == nil {
		return nil, err
	}
	if on.Facts.Prepared, err = preparedIn(ctx, d.hosts.folder(host)); err != nil {
		return nil, err
	}
	found, err := d.certificates.look(ctx, host, server)
	if err != nil {
		return nil, err
	}
	release, err := d.releases.look(ctx, host, server)
	if err != nil || release == nil {
		return append(found, *on), err
	}
	on.Facts.Kept = release.Facts.Kept
	return append(found, *on, *release), nil
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
	found, err := d.look(ctx, q, server)
	if err != nil {
		return have, &resource.Error{Kind: resource.Unavailable, Op: "read", Address: a, Cause: err}
	}
	for _, f := range found {
		if f.Mark.Address == a {
			return f, nil
		}
	}
	return have, &resource.Error{Kind: resource.Gone, Op: "read", Address: a, Message: "not on the server"}
}

// Create makes a server ready for releases, deploys a release, or sets a route up. All of these
// are idempotent.
func (d *Driver) Create(ctx context.Context, c resource.Call) []resource.Result {
	return d.each(ctx, c, func(ctx context.Context, item resource.Item) (*resource.Found, error) {
		return d.put(ctx, c, item)
	})
}

// Update does the same as Create, knowing what was there.
func (d *Driver) Update(ctx context.Context, c resource.Call) []resource.Result {
	return d.Create(ctx, c)
}

func (d *Driver) put(ctx context.Context, c resource.Call, item resource.Item) (*resource.Found, error) {
	switch spec := item.Spec.(type) {
	case *resource.DockerSpec:
		return d.hosts.putDocker(ctx, c, item.Mark, spec)
	case *resource.ReleaseSpec:
		return d.releases.put(ctx, c, item, spec)
	case *resource.CertificateSpec:
		return d.certificates.put(ctx, c, item, spec)
	case *resource.RouteSpec:
		return d.routes.put(ctx, c, item, spec)
	}
	return nil, fmt.Errorf("%s is of no kind that servers have", item.Mark.Address)
}

// Delete removes a release's containers or a certificate's files, or forgets a route. Docker itself stays on its server: it
// goes with it.
func (d *Driver) Delete(ctx context.Context, c resource.Call) []resource.Result {
	return d.each(ctx, c, func(ctx context.Context, item resource.Item) (*resource.Found, error) {
		switch item.Mark.Address.Kind() {
		case resource.KindRelease:
			return nil, d.releases.remove(ctx, c, item)
		case resource.KindCertificate:
			return nil, d.certificates.remove(ctx, c, item)
		}
		return nil, nil
	})
}

// each does the call's items one after the other; batches are for clouds.
func (d *Driver) each(ctx context.Context, c resource.Call, do func(context.Context, resource.Item) (*resource.Found, error)) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	for i, item := range c.Items {
		found, err := do(ctx, item)
		results[i] = resource.Result{Address: item.Mark.Address, Found: found, Err: classify(err, item.Mark.Address)}
	}
	return results
}
