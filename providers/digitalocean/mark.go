package digitalocean

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// stackTag is carried by every droplet of a stack.
func stackTag(stack resource.StackID) string { return "cloudship:" + string(stack) }

// groupTag is carried by every droplet of a group; firewalls go by it.
func groupTag(stack resource.StackID, group string) string { return stackTag(stack) + ":" + group }

// memberTag is carried by the droplets behind a load balancer that goes by tag.
func memberTag(m resource.Mark) string { return stackTag(m.Stack) + ":lb:" + m.Address.Name }

// groupOf is the group whose tag this is.
func groupOf(stack resource.StackID, tag string) (string, bool) {
	group, ok := strings.CutPrefix(tag, stackTag(stack)+":")
	return group, ok && resource.Label.MatchString(group)
}

// ours reads a name as a mark that the query asks for, of a kind.
func ours(name string, q resource.Query, kind resource.Kind) (resource.Mark, bool) {
	m, ok := resource.DecodeMark(name)
	return m, ok && q.Wants(m) && m.Address.Kind() == kind
}

// moment reads a time of the API; zero for none.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// ensureTags makes tags that may be there already.
func (p *Provider) ensureTags(ctx context.Context, a resource.Address, tags ...string) error {
	for _, tag := range tags {
		_, _, err := p.api.Tags.Create(ctx, &godo.TagCreateRequest{Name: tag})
		if exists := (*godo.ErrorResponse)(nil); errors.As(err, &exists) && exists.Response.StatusCode == http.StatusUnprocessableEntity &&
			strings.Contains(strings.ToLower(exists.Message), "already") {
			continue
		}
		if err != nil {
			return fault("create tag "+tag, a, err, repeatable)
		}
	}
	return nil
}

// taggedAtOnce is how many droplets are tagged or untagged with one request.
const taggedAtOnce = 250

// tagDroplets puts a tag that exists on droplets, or takes it off.
func (p *Provider) tagDroplets(ctx context.Context, a resource.Address, tag string, ids []string, on bool) error {
	for part := range slices.Chunk(ids, taggedAtOnce) {
		var list []godo.Resource
		for _, id := range part {
			list = append(list, godo.Resource{ID: id, Type: godo.DropletResourceType})
		}
		var err error
		if on {
			_, err = p.api.Tags.TagResources(ctx, tag, &godo.TagResourcesRequest{Resources: list})
		} else {
			_, err = p.api.Tags.UntagResources(ctx, tag, &godo.UntagResourcesRequest{Resources: list})
		}
		if err != nil {
			return fault("tag droplets with "+tag, a, err, repeatable)
		}
	}
	return nil
}

// Retire deletes the tags of a stack that nothing carries any more, and the certificates that no
// balancer uses any more.
func (p *Provider) Retire(ctx context.Context, stack resource.StackID) error {
	if _, err := p.keeper(resource.KindServer); err != nil {
		return err
	}
	if err := (balancers{p}).dropCertificates(ctx, func(m resource.Mark) bool { return m.Stack == stack }, nil); err != nil {
		return err
	}
	tags, err := all(ctx, "tags", func(t godo.Tag) string { return t.Name }, p.api.Tags.List)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if t.Name != stackTag(stack) && !strings.HasPrefix(t.Name, stackTag(stack)+":") {
			continue
		}
		if t.Resources != nil && t.Resources.Count > 0 {
			continue
		}
		if _, err := p.api.Tags.Delete(ctx, t.Name); err != nil {
			if err := fault("delete tag "+t.Name, resource.Address{}, err, repeatable); !resource.IsGone(err) {
				return err
			}
		}
	}
	return nil
}
