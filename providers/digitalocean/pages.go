package digitalocean

import (
	"context"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// perPage is the most that the API gives on a page.
const perPage = 200

// listTries is how often a list is begun anew because rows shifted between its pages.
const listTries = 3

// all reads every page of a list. There is no cursor: rows shift between pages when things are
// made or deleted meanwhile. What comes twice counts once; when rows went, or fewer came than there
// are, one may have been skipped, and the list is begun again. The answer is never nil.
func all[T any, K comparable](ctx context.Context, what string, key func(T) K,
	page func(context.Context, *godo.ListOptions) ([]T, *godo.Response, error)) ([]T, error) {
	var list []T
	for range listTries {
		seen := map[K]bool{}
		list = []T{}
		total, went := 0, false
		for n := 1; ; n++ {
			rows, response, err := page(ctx, &godo.ListOptions{Page: n, PerPage: perPage})
			if err != nil {
				return nil, fault("list "+what, resource.Address{}, err, reading)
			}
			for _, row := range rows {
				if k := key(row); !seen[k] {
					seen[k] = true
					list = append(list, row)
				}
			}
			if response.Meta != nil {
				went = went || response.Meta.Total < total
				total = response.Meta.Total
			}
			if response.Links == nil || response.Links.IsLastPage() || len(rows) == 0 {
				break
			}
		}
		if !went && len(list) >= total {
			break
		}
	}
	return list, nil
}
