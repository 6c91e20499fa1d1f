package digitalocean

import (
	"context"
	"fmt"
	"slices"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// Preflight tells what would stop the wanted resources from being made. It asks only when servers
// are to be made.
func (p *Provider) Preflight(ctx context.Context, f resource.Forecast) []error {
	if _, err := p.keeper(resource.KindServer); err != nil {
		return []error{err}
	}
	var problems []error
	if p.account.Status != "" && p.account.Status != "active" {
		problems = append(problems, &resource.Error{Kind: resource.Unauthorized, Message: fmt.Sprintf("the account is %s: %s", p.account.Status, p.account.StatusMessage),
			Hint: "see https://cloud.digitalocean.com/account"})
	}
	wanted := 0
	said := map[string]bool{}
	for _, w := range f.Create {
		spec, ok := w.Spec.(*resource.ServerSpec)
		if !ok {
			continue
		}
		wanted++
		if key := spec.Size + " " + spec.Region; !said[key] {
			said[key] = true
			if err := p.available(ctx, w.Address, spec); err != nil {
				problems = append(problems, err)
			}
		}
	}
	if wanted == 0 {
		return problems
	}
	if err := p.room(ctx, f, wanted); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// available tells whether a size can be had in its region now.
func (p *Provider) available(ctx context.Context, a resource.Address, spec *resource.ServerSpec) error {
	regions, err := p.regions(ctx)
	if err != nil {
		return err
	}
	for _, r := range regions {
		if r.Slug == spec.Region && !r.Available {
			return unmet(a, "region", "choose another region", "DigitalOcean makes no new servers in %s now", spec.Region)
		}
	}
	sizes, err := p.sizes(ctx)
	if err != nil {
		return err
	}
	for _, s := range sizes {
		if s.Slug == spec.Size && s.Available && slices.Contains(s.Regions, spec.Region) {
			return nil
		}
	}
	return unmet(a, "size", "choose another size or region", "size %s cannot be had in %s now", spec.Size, spec.Region)
}

// room tells whether the account may have so many more droplets. Droplets outside the stack count
// as well; those that the same plan deletes may go first or last, so that they are held against
// the limit only when it would be passed without them too.
func (p *Provider) room(ctx context.Context, f resource.Forecast, wanted int) error {
	_, response, err := p.api.Droplets.List(ctx, &godo.ListOptions{PerPage: 1})
	if err != nil {
		return fault("count droplets", resource.Address{}, err, reading)
	}
	if response.Meta == nil || p.account.DropletLimit == 0 {
		return nil
	}
	have, limit := response.Meta.Total, p.account.DropletLimit
	if have+wanted-f.Deletes <= limit {
		return nil
	}
	return &resource.Error{Kind: resource.Quota, Op: "preflight",
		Message: fmt.Sprintf("the account may have %d droplets and has %d: %d more are too many", limit, have, wanted),
		Hint:    "ask for a higher limit (" + limitPage + "), or want fewer servers"}
}
