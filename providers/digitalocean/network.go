package digitalocean

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// networks keeps VPCs. Their names are unique, so that a repeated create is refused, and what it
// collides with is ours.
type networks struct{ *Provider }

func (n networks) list(ctx context.Context) ([]*godo.VPC, error) {
	return all(ctx, "VPCs", func(v *godo.VPC) string { return v.ID }, n.api.VPCs.List)
}

func (n networks) found(m resource.Mark, v *godo.VPC) resource.Found {
	return resource.Found{
		Mark: m, Provider: n.alias, ID: v.ID, Ready: true, Created: v.CreatedAt,
		Spec: &resource.NetworkSpec{Region: v.RegionSlug, IPRange: v.IPRange}, Observed: []string{"region", "ip_range"},
	}
}

func (n networks) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.NetworkSpec)
		if !ok {
			return nil, wrongSpec(item)
		}
		name := item.Mark.Encode()
		v, _, err := n.api.VPCs.Create(ctx, &godo.VPCCreateRequest{Name: name, RegionSlug: spec.Region, IPRange: spec.IPRange})
		if err = fault("create VPC", item.Mark.Address, err, once); err != nil {
			if resource.KindOf(err) != resource.Conflict {
				return nil, err
			}
			list, listErr := n.list(ctx)
			if listErr != nil {
				return nil, listErr
			}
			for _, other := range list {
				if other.Name == name {
					v = other
				}
			}
			if v == nil {
				return nil, err
			}
		}
		found := n.found(item.Mark, v)
		return &found, nil
	})
}

// update has nothing to do: region and range are fixed, and the name is the mark.
func (n networks) update(ctx context.Context, c resource.Call) []resource.Result {
	return unchanged(c)
}

// remove deletes VPCs. What was in one may keep it busy for minutes after it is gone itself.
func (n networks) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := id(item)
		if err != nil {
			return nil, err
		}
		response, err := n.api.VPCs.Delete(ctx, id)
		refused := response != nil && (response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusConflict)
		if err = deleted("delete VPC", item, err); err == nil || !refused {
			return nil, err
		}
		v, _, getErr := n.api.VPCs.Get(ctx, id)
		if getErr != nil || !v.Default {
			return nil, &resource.Error{Kind: resource.Busy, Op: "delete VPC", Address: item.Mark.Address, Message: "it still has members", Cause: err}
		}
		if err := n.dethrone(ctx, item, v); err != nil {
			return nil, err
		}
		_, err = n.api.VPCs.Delete(ctx, id)
		return nil, deleted("delete VPC", item, err)
	})
}

// dethrone makes another VPC the default of a region. The first VPC in a region becomes its
// default, ours too where the account had none there, and a default cannot be deleted. Where there
// is no other, one is made, with the name that DigitalOcean itself gives the defaults it makes;
// like those it stays.
func (n networks) dethrone(ctx context.Context, item resource.Item, v *godo.VPC) error {
	list, err := n.list(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(other *godo.VPC) bool { return other.RegionSlug == v.RegionSlug && other.ID != v.ID })
	var heir *godo.VPC
	if at >= 0 {
		heir = list[at]
	} else if heir, _, err = n.api.VPCs.Create(ctx, &godo.VPCCreateRequest{Name: "default-" + v.RegionSlug, RegionSlug: v.RegionSlug}); err != nil {
		return fresh(fault("create the default VPC of "+v.RegionSlug, item.Mark.Address, err, repeatable))
	}
	_, _, err = n.api.VPCs.Set(ctx, heir.ID, godo.VPCSetDefault())
	return fresh(fault("make "+heir.Name+" the default VPC of "+v.RegionSlug, item.Mark.Address, err, repeatable))
}

// fresh makes an error that says of something just made that it is not there, or there already
// though no list has it, one that passes.
func fresh(err error) error {
	e := (*resource.Error)(nil)
	if errors.As(err, &e) && (e.Kind == resource.Gone || e.Kind == resource.Conflict) {
		e.Kind = resource.Busy
	}
	return err
}

func (n networks) read(ctx context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	v, _, err := n.api.VPCs.Get(ctx, have.ID)
	if err != nil {
		return have, absent("read VPC", have, err)
	}
	return n.found(have.Mark, v), nil
}
