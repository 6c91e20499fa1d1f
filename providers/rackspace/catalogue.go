package rackspace

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/cloudship/cloudship/resource"
)

// catalogue is what can be had. Each part is asked for when it is first needed, and once: a
// process lives as long as one command.
type catalogue struct {
	flavors fetched[flavor]
	images  fetched[image]
}

// fetched is a list that is asked for once. It is safe for concurrent use.
type fetched[T any] struct {
	mu   sync.Mutex
	list []T
}

func (f *fetched[T]) get(fetch func() ([]T, error)) ([]T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.list != nil {
		return f.list, nil
	}
	list, err := fetch()
	if err == nil {
		f.list = list
	}
	return list, err
}

// flavor is a size of server.
type flavor struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	MemoryMB int    `json:"ram"`
	CPUs     int    `json:"vcpus"`
	DiskGB   int    `json:"disk"`
}

// flavors are the sizes that can be started from an image: those without a disk of their own need
// a volume. Those with a price come first, the cheapest before all, then the others by memory.
func (p *Provider) flavors(ctx context.Context) ([]flavor, error) {
	return p.catalogue.flavors.get(func() ([]flavor, error) {
		var body struct {
			Flavors []flavor `json:"flavors"`
		}
		if _, err := p.compute.Get(ctx, p.compute.ServiceURL("flavors", "detail"), &body, nil); err != nil {
			return nil, fault("list flavors", resource.Address{}, err, reading)
		}
		list := slices.DeleteFunc(body.Flavors, func(f flavor) bool { return f.DiskGB == 0 })
		slices.SortStableFunc(list, func(a, b flavor) int {
			x, y := priceOf(a.ID), priceOf(b.ID)
			if x.Known != y.Known {
				if x.Known {
					return -1
				}
				return 1
			}
			return cmp.Or(cmp.Compare(x.Monthly, y.Monthly), cmp.Compare(a.MemoryMB, b.MemoryMB), cmp.Compare(a.CPUs, b.CPUs), cmp.Compare(a.ID, b.ID))
		})
		return list, nil
	})
}

// image is what a server starts from.
type image struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// images are all active images of the region, Rackspace's own and the account's.
func (p *Provider) images(ctx context.Context) ([]image, error) {
	return p.catalogue.images.get(func() ([]image, error) {
		list := []image{}
		query := "?status=ACTIVE&limit=1000"
		for {
			var page struct {
				Images []image `json:"images"`
				Links  []any   `json:"images_links"`
			}
			if _, err := p.compute.Get(ctx, p.compute.ServiceURL("images", "detail")+query, &page, nil); err != nil {
				return nil, fault("list images", resource.Address{}, err, reading)
			}
			list = append(list, page.Images...)
			if len(page.Links) == 0 || len(page.Images) == 0 {
				slices.SortFunc(list, func(a, b image) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
				return list, nil
			}
			query = "?status=ACTIVE&limit=1000&marker=" + list[len(list)-1].ID
		}
	})
}

// Catalog tells what can be had and what it costs.
func (p *Provider) Catalog(ctx context.Context) (resource.Catalog, error) {
	c := resource.Catalog{AsOf: pricesAsOf}
	if _, err := p.keeper(resource.KindServer); err != nil {
		return c, err
	}
	flavors, err := p.flavors(ctx)
	if err != nil {
		return c, err
	}
	images, err := p.images(ctx)
	if err != nil {
		return c, err
	}
	for _, f := range flavors {
		c.Sizes = append(c.Sizes, resource.Size{Name: f.ID, CPUs: f.CPUs, MemoryMB: f.MemoryMB, DiskGB: f.DiskGB, Price: priceOf(f.ID), Regions: []string{p.region}})
	}
	for _, r := range p.regions {
		c.Regions = append(c.Regions, resource.Region{Name: r, Title: cmp.Or(regionTitles[r], r), Available: true})
	}
	for _, i := range images {
		c.Images = append(c.Images, resource.Image{ID: i.ID, Name: i.Name, Neutral: neutral(i.Name)})
	}
	return c, nil
}

var regionTitles = map[string]string{
	"DFW": "Dallas-Fort Worth", "ORD": "Chicago", "IAD": "Northern Virginia", "LON": "London", "SYD": "Sydney", "HKG": "Hong Kong",
}

// An image of a distribution has a name such as "Debian 12 (Bookworm) (PVHVM)", "Ubuntu 24.04 LTS
// (Noble Numbat) (PVHVM)" or "Rocky Linux 9 (PVHVM)"; its neutral name is debian-12, ubuntu-24.04
// or rocky-9.
var (
	imageForm = regexp.MustCompile(`^(Debian|Ubuntu|CentOS(?: Stream)?|Rocky Linux|AlmaLinux|Fedora) (\d+(?:\.\d+)?)\b`)
	imageWord = map[string]string{"Rocky Linux": "rocky", "AlmaLinux": "alma", "CentOS Stream": "centos"}
)

// neutral is the neutral name of an image's name, or nothing. Images for paravirtual machines are
// left out: no present size starts them.
func neutral(name string) string {
	m := imageForm.FindStringSubmatch(name)
	if m == nil || strings.HasSuffix(name, "(PV)") {
		return ""
	}
	return cmp.Or(imageWord[m[1]], strings.ToLower(m[1])) + "-" + m[2]
}
