package digitalocean

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// remove deletes droplets: those of a call with a tag by that tag, all others by id.
func (s servers) remove(ctx context.Context, c resource.Call) []resource.Result {
	if c.Tag != "" && len(c.Items) > 1 {
		if results, done := s.removeByTag(ctx, c); done {
			return results
		}
	}
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := number(item)
		if err != nil {
			return nil, err
		}
		_, err = s.api.Droplets.Delete(ctx, id)
		return nil, deleted("delete droplet", item, err)
	})
}

// removeByTag deletes droplets with one request. DigitalOcean deletes whatever carries the tag, so
// that the tag is the call's own, is put on the call's droplets alone, and what carries it is
// listed first: it must be exactly those. Otherwise done is false, nothing was deleted, and they
// are to be deleted by id.
func (s servers) removeByTag(ctx context.Context, c resource.Call) (results []resource.Result, done bool) {
	first := c.Items[0].Mark
	tag := c.Tag
	if !strings.HasPrefix(tag, stackTag(first.Stack)+":") {
		tag = stackTag(first.Stack) + ":" + tag
	}
	wanted := map[int]bool{}
	for _, item := range c.Items {
		id, err := number(item)
		if err != nil {
			return nil, false
		}
		wanted[id] = true
	}
	if s.ensureTags(ctx, first.Address, tag) != nil {
		return nil, false
	}
	err := s.tagDroplets(ctx, first.Address, tag, numerals(wanted), true)
	if resource.IsGone(err) { // some are gone already: the others are those of the stack that are left
		if wanted, err = s.left(ctx, first.Stack, wanted); err == nil {
			err = s.tagDroplets(ctx, first.Address, tag, numerals(wanted), true)
		}
	}
	if err != nil {
		return nil, false
	}
	carriers, err := s.tagged(ctx, tag)
	if err != nil || !exactly(carriers, wanted) {
		return nil, false
	}
	c.Say(first.Address, fmt.Sprintf("deleting %d droplets by their tag", len(carriers)))
	if len(carriers) > 0 {
		_, err = s.api.Droplets.DeleteByTag(ctx, tag)
	}
	if err != nil {
		return resource.Fail(c, fault("delete droplets by tag", first.Address, err, repeatable)), true
	}
	if err := s.dropTag(ctx, first.Address, tag, len(carriers) > 0); err != nil {
		return resource.Fail(c, err), true
	}
	return each(c, func(resource.Item) (*resource.Found, error) { return nil, nil }), true
}

// left are those of some droplets that are still there.
func (s servers) left(ctx context.Context, stack resource.StackID, droplets map[int]bool) (map[int]bool, error) {
	list, err := s.tagged(ctx, stackTag(stack))
	there := map[int]bool{}
	for _, d := range list {
		if droplets[d.ID] {
			there[d.ID] = true
		}
	}
	return there, err
}

// numerals writes ids as the API's tags take them, in their order.
func numerals(ids map[int]bool) []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		list = append(list, strconv.Itoa(id))
	}
	return list
}

// exactly reports whether the droplets are the wanted ones and no others.
func exactly(droplets []godo.Droplet, wanted map[int]bool) bool {
	for _, d := range droplets {
		if !wanted[d.ID] {
			return false
		}
	}
	return len(droplets) == len(wanted)
}

// dropTag deletes a tag as soon as no droplet is listed with it. Deleting it earlier could keep
// droplets alive whose deletion is still to come.
func (s servers) dropTag(ctx context.Context, a resource.Address, tag string, carried bool) error {
	for wait := time.Second; carried; wait = min(2*wait, 15*time.Second) {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fault("wait for deleted droplets", a, ctx.Err(), repeatable)
		case <-timer.C:
		}
		left, _, err := s.api.Droplets.ListByTag(ctx, tag, &godo.ListOptions{PerPage: 1})
		if err != nil {
			return fault("list droplets by tag", a, err, reading)
		}
		carried = len(left) > 0
	}
	_, err := s.api.Tags.Delete(ctx, tag)
	if err = fault("delete tag "+tag, a, err, repeatable); resource.IsGone(err) {
		return nil
	}
	return err
}
