package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// volumes lists the stack's volumes on a server, whether or not anything uses them; it is never nil
// when it succeeds.
func (h *Hosts) volumes(ctx context.Context, host *remote.Host) ([]resource.Volume, error) {
	e, err := h.engine(ctx, host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Close() }()
	return e.volumes(ctx)
}

func (e *engine) volumes(ctx context.Context) ([]resource.Volume, error) {
	list, err := e.VolumeList(ctx, client.VolumeListOptions{Filters: ours(e.stack)})
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	found := []resource.Volume{}
	for _, v := range list.Items {
		found = append(found, resource.Volume{Name: v.Name, Key: v.Labels[composeVolume]})
	}
	slices.SortFunc(found, func(a, b resource.Volume) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}
