package rackspace

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// What a load balancer's health check is unless it is said.
var defaultCheck = resource.HealthCheck{Protocol: "http", Path: "/", Interval: 10, Timeout: 5, Healthy: 2, Unhealthy: 3}

// defaultIdle is after how many seconds a load balancer closes an idle connection.
const defaultIdle = 30

// Resolve completes specs. It asks for sizes and images once, and only where a spec needs them.
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
			err = p.resolveBalancer(&r, spec)
		case *resource.SSHKeySpec:
			spec.PublicKey = material(spec.PublicKey)
		case *resource.MembersSpec:
		default:
			err = unsupported(w.Address, w.Spec.Kind())
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

// place completes and checks a region: a provider block is of one.
func (p *Provider) place(a resource.Address, region string) (string, error) {
	upper := strings.ToUpper(cmp.Or(region, p.region))
	switch {
	case upper == p.region:
		return upper, nil
	case !slices.Contains(p.regions, upper):
		return "", unmet(a, "region", "regions: "+strings.Join(p.regions, ", "), "the account has no region %q%s", region, suggest(upper, p.regions))
	}
	return "", unmet(a, "region", fmt.Sprintf("add a provider block with plugin = \"rackspace\" and region = %q, and name it here", upper), "region %q: provider %q works in %s", region, p.alias, p.region)
}

func (p *Provider) resolveServer(ctx context.Context, r *resource.Resolved, spec *resource.ServerSpec) (err error) {
	if spec.Region, err = p.place(r.Address, spec.Region); err != nil {
		return err
	}
	if !spec.Network.IsZero() {
		return unsupported(r.Address, resource.KindNetwork)
	}
	size, err := p.size(ctx, r.Address, spec)
	if err != nil {
		return err
	}
	if size != nil {
		spec.Size, r.Price = size.ID, priceOf(size.ID)
		r.Note = fmt.Sprintf("%s: %d CPUs, %s, %d GB disk", size.ID, size.CPUs, memory(size.MemoryMB), size.DiskGB)
	} else {
		r.Price = priceOf(spec.Size)
	}
	if !r.Price.Known {
		r.Note = strings.TrimPrefix(r.Note+"; its price is not known", "; ")
	}
	if spec.ImageID == "" {
		if spec.ImageID, err = p.imageID(ctx, r.Address, spec.Image); err != nil {
			return err
		}
	}
	for name := range spec.Options {
		return unmet(r.Address, "options", "", "rackspace has no option %q here", name)
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
// and that is not offered any more is nil: it stays.
func (p *Provider) size(ctx context.Context, a resource.Address, spec *resource.ServerSpec) (*flavor, error) {
	flavors, err := p.flavors(ctx)
	if err != nil {
		return nil, err
	}
	if spec.Size != "" {
		var valid []string
		for i := range flavors {
			if flavors[i].ID == spec.Size {
				return &flavors[i], nil
			}
			valid = append(valid, flavors[i].ID)
		}
		if spec.Need != nil {
			return nil, nil
		}
		return nil, unmet(a, "size", "name a size by what it needs, as in size = { cpus = 2, memory = \"4GB\" }", "Rackspace has no size %q that starts from an image%s", spec.Size, suggest(spec.Size, valid))
	}
	need := resource.Need{CPUs: 1}
	if spec.Need != nil {
		need = *spec.Need
	}
	for i, f := range flavors { // the cheapest first
		if f.CPUs >= need.CPUs && f.MemoryMB >= need.MemoryMB && f.DiskGB >= need.DiskGB {
			return &flavors[i], nil
		}
	}
	return nil, unmet(a, "size", "ask for less", "Rackspace has no size with %d CPUs, %s memory and %d GB disk that starts from an image", need.CPUs, memory(need.MemoryMB), need.DiskGB)
}

// imageID is the id of an image: by its neutral name, its name at Rackspace, or itself. Ids differ
// from region to region and change with every build; the state keeps the one that was chosen.
func (p *Provider) imageID(ctx context.Context, a resource.Address, name string) (string, error) {
	if name == "" {
		return "", unmet(a, "image", "say image = \"debian-12\"", "no image is said for %s", a)
	}
	images, err := p.images(ctx)
	if err != nil {
		return "", err
	}
	var valid []string
	for _, i := range images {
		if i.ID == name || i.Name == name || neutral(i.Name) == name {
			return i.ID, nil
		}
		valid = append(valid, cmp.Or(neutral(i.Name), i.Name))
	}
	return "", unmet(a, "image", "", "Rackspace has no image %q in %s%s", name, p.region, suggest(name, valid))
}
