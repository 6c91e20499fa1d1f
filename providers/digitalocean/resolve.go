package digitalocean

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// What a load balancer's health check is unless it is said: DigitalOcean's real defaults. Its
// specification has the thresholds the wrong way round.
var defaultCheck = resource.HealthCheck{Protocol: "http", Port: 80, Path: "/", Interval: 10, Timeout: 5, Healthy: 5, Unhealthy: 3}

// defaultIdle is after how many seconds a load balancer closes an idle connection.
const defaultIdle = 60

// Resolve completes specs. It asks for sizes, regions and images once, and only where a spec needs
// them.
func (p *Provider) Resolve(ctx context.Context, wants []resource.Wish) ([]resource.Resolved, error) {
	if _, err := p.keeper(resource.KindServer); err != nil {
		return nil, err
	}
	resolved := make([]resource.Resolved, len(wants))
	for i, w := range wants {
		free := resource.Price{Currency: currency, Known: true}
		r := resource.Resolved{Wish: resource.Wish{Address: w.Address, Spec: resource.Clone(w.Spec)}, Price: free}
		var err error
		switch spec := r.Spec.(type) {
		case *resource.ServerSpec:
			err = p.resolveServer(ctx, &r, spec)
		case *resource.LoadBalancerSpec:
			err = p.resolveBalancer(ctx, &r, spec)
		case *resource.NetworkSpec:
			spec.Region, err = p.place(ctx, w.Address, spec.Region)
		case *resource.FirewallSpec:
			slices.Sort(spec.Groups)
			canonical(spec.Inbound)
			canonical(spec.Outbound)
		case *resource.SSHKeySpec:
			spec.PublicKey = material(spec.PublicKey)
		}
		if err != nil {
			return nil, err
		}
		resolved[i] = r
	}
	return resolved, nil
}

// unmet is the answer to a wish that cannot be met.
func unmet(a resource.Address, field, hint, format string, args ...any) error {
	return &resource.Error{Kind: resource.Invalid, Address: a, Field: field, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// place completes and checks a region.
func (p *Provider) place(ctx context.Context, a resource.Address, region string) (string, error) {
	regions, err := p.regions(ctx)
	if err != nil {
		return "", err
	}
	var valid []string
	for _, r := range regions {
		valid = append(valid, r.Slug)
	}
	region = cmp.Or(region, p.region)
	switch {
	case region == "":
		return "", unmet(a, "region", fmt.Sprintf("say region = %q in provider %q, or in the block itself", "fra1", p.alias), "no region is said for %s", a)
	case !slices.Contains(valid, region):
		return "", unmet(a, "region", "regions: https://docs.digitalocean.com/platform/regional-availability", "DigitalOcean has no region %q%s", region, suggest(region, valid))
	}
	return region, nil
}

func (p *Provider) resolveServer(ctx context.Context, r *resource.Resolved, spec *resource.ServerSpec) (err error) {
	if spec.Region, err = p.place(ctx, r.Address, spec.Region); err != nil {
		return err
	}
	size, err := p.size(ctx, r.Address, spec)
	if err != nil {
		return err
	}
	if size != nil {
		spec.Size, r.Price = size.Slug, priceOf(*size)
		r.Note = fmt.Sprintf("%s: %d CPUs, %s, %d GB disk", size.Slug, size.Vcpus, memory(size.Memory), size.Disk)
	} else {
		r.Price = resource.Price{}
	}
	if spec.ImageID == "" {
		if spec.ImageID, err = p.imageID(ctx, r.Address, spec.Image); err != nil {
			return err
		}
	}
	if _, err := serverOptions(spec.Options); err != nil {
		return unmet(r.Address, "options", "", "%v", err)
	}
	return nil
}

func memory(mb int) string {
	if mb%1024 == 0 {
		return fmt.Sprintf("%d GB", mb/1024)
	}
	return fmt.Sprintf("%d MB", mb)
}

// size finds the size that a spec names, or the cheapest that it needs. One that the state froze
// and that is not offered any more is nil: it stays, and its price is not known.
func (p *Provider) size(ctx context.Context, a resource.Address, spec *resource.ServerSpec) (*godo.Size, error) {
	sizes, err := p.sizes(ctx)
	if err != nil {
		return nil, err
	}
	if spec.Size != "" {
		var valid []string
		for i := range sizes {
			if sizes[i].Slug == spec.Size {
				return &sizes[i], nil
			}
			valid = append(valid, sizes[i].Slug)
		}
		if spec.Need != nil {
			return nil, nil
		}
		return nil, unmet(a, "size", "name a size by what it needs, as in size = { cpus = 2, memory = \"4GB\" }", "DigitalOcean has no size %q%s", spec.Size, suggest(spec.Size, valid))
	}
	need := resource.Need{CPUs: 1}
	if spec.Need != nil {
		need = *spec.Need
	}
	for i, s := range sizes { // the cheapest first
		if s.Available && slices.Contains(s.Regions, spec.Region) && s.Vcpus >= need.CPUs && s.Memory >= need.MemoryMB && s.Disk >= need.DiskGB {
			return &sizes[i], nil
		}
	}
	return nil, unmet(a, "size", "ask for less, or another region", "DigitalOcean has no size in %s with %d CPUs, %s memory and %d GB disk", spec.Region, need.CPUs, memory(need.MemoryMB), need.DiskGB)
}

// imageID is the name to make a server from: a slug, or the number of a private image, which is
// taken as it is.
func (p *Provider) imageID(ctx context.Context, a resource.Address, name string) (string, error) {
	if name == "" {
		return "", unmet(a, "image", "say image = \"debian-12\"", "no image is said for %s", a)
	}
	if _, err := strconv.Atoi(name); err == nil {
		return name, nil
	}
	images, err := p.images(ctx)
	if err != nil {
		return "", err
	}
	wanted := slug(name)
	var valid []string
	for _, i := range images {
		if i.Slug == wanted {
			return wanted, nil
		}
		if i.Slug != "" {
			valid = append(valid, cmp.Or(neutral(i.Slug), i.Slug))
		}
	}
	// Application images, "docker-20-04", are not among those of distributions.
	if neutral(wanted) == "" {
		if found, _, err := p.api.Images.GetBySlug(ctx, wanted); err == nil && found.Slug == wanted {
			return wanted, nil
		}
	}
	return "", unmet(a, "image", "", "DigitalOcean has no image %q%s", name, suggest(name, valid))
}

func (p *Provider) resolveBalancer(ctx context.Context, r *resource.Resolved, spec *resource.LoadBalancerSpec) (err error) {
	if spec.Region, err = p.place(ctx, r.Address, spec.Region); err != nil {
		return err
	}
	for i := range spec.Listeners {
		l := &spec.Listeners[i]
		l.Protocol = cmp.Or(l.Protocol, "http")
		l.TargetProtocol = cmp.Or(l.TargetProtocol, target(*l))
		l.TargetPort = cmp.Or(l.TargetPort, l.Port)
	}
	sortListeners(spec.Listeners)
	completeCheck(spec)
	spec.IdleTimeout = cmp.Or(spec.IdleTimeout, defaultIdle)
	if s := spec.Sticky; s != nil {
		s.Cookie, s.TTL = cmp.Or(s.Cookie, "cloudship"), cmp.Or(s.TTL, 3600)
	}
	o, err := balancerOptions(spec.Options)
	if err != nil {
		return unmet(r.Address, "options", "", "%v", err)
	}
	r.Price = balancerPrice
	r.Price.Monthly *= float64(o.nodes)
	r.Note = fmt.Sprintf("%d node(s)", o.nodes)
	return checkBalancer(r.Address, spec)
}

// target is the protocol that a listener speaks to the servers unless it is said: TLS ends at the
// balancer.
func target(l resource.Listener) string {
	switch {
	case l.Protocol == "tcp" || l.TLSPassthrough:
		return l.Protocol
	case l.Protocol == "https", l.Protocol == "http2", l.Protocol == "http3":
		return "http"
	}
	return l.Protocol
}

// completeCheck fills in the health check. Its port is the first listener's target unless it is
// said: it asks where the traffic will go.
func completeCheck(spec *resource.LoadBalancerSpec) {
	h, d := &spec.HealthCheck, defaultCheck
	if len(spec.Listeners) > 0 {
		d.Port = spec.Listeners[0].TargetPort
		if spec.Listeners[0].TargetProtocol == "tcp" && h.Path == "" {
			d.Protocol = "tcp"
		}
	}
	h.Protocol = cmp.Or(h.Protocol, d.Protocol)
	h.Port = cmp.Or(h.Port, d.Port)
	if h.Protocol == "tcp" {
		h.Path = ""
	} else {
		h.Path = cmp.Or(h.Path, d.Path)
	}
	h.Interval, h.Timeout = cmp.Or(h.Interval, d.Interval), cmp.Or(h.Timeout, d.Timeout)
	h.Healthy, h.Unhealthy = cmp.Or(h.Healthy, d.Healthy), cmp.Or(h.Unhealthy, d.Unhealthy)
}

// checkBalancer refuses at plan what the API would refuse at apply.
func checkBalancer(a resource.Address, spec *resource.LoadBalancerSpec) error {
	h := spec.HealthCheck
	for _, c := range []struct {
		field              string
		value, least, most int
	}{
		{"health_check.interval", h.Interval, 3, 300}, {"health_check.timeout", h.Timeout, 3, 300},
		{"health_check.healthy", h.Healthy, 2, 10}, {"health_check.unhealthy", h.Unhealthy, 2, 10},
		{"idle_timeout", spec.IdleTimeout, 30, 600},
	} {
		if c.value < c.least || c.value > c.most {
			return unmet(a, c.field, "", "%s is %d, DigitalOcean takes %d to %d", c.field, c.value, c.least, c.most)
		}
	}
	for _, l := range spec.Listeners {
		if l.Port >= 50053 && l.Port <= 50055 {
			return unmet(a, "listeners", "", "port %d is DigitalOcean's own", l.Port)
		}
	}
	return nil
}
