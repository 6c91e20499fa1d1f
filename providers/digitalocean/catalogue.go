package digitalocean

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// currency of all of DigitalOcean's prices.
const currency = "USD"

// balancerPrice is what a node of a load balancer costs in a month. The API does not tell it.
var balancerPrice = resource.Price{Monthly: 12, Currency: currency, Known: true, AsOf: "2026-08-07"}

// catalogue is what can be had. Each part is asked for when it is first needed, and once: a
// process lives as long as one command.
type catalogue struct {
	sizes   fetched[godo.Size]
	regions fetched[godo.Region]
	images  fetched[godo.Image]
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

func (p *Provider) sizes(ctx context.Context) ([]godo.Size, error) {
	return p.catalogue.sizes.get(func() ([]godo.Size, error) {
		list, err := all(ctx, "sizes", func(s godo.Size) string { return s.Slug }, p.api.Sizes.List)
		slices.SortFunc(list, func(a, b godo.Size) int {
			return cmp.Or(cmp.Compare(a.PriceMonthly, b.PriceMonthly), cmp.Compare(a.Slug, b.Slug))
		})
		return list, err
	})
}

func (p *Provider) regions(ctx context.Context) ([]godo.Region, error) {
	return p.catalogue.regions.get(func() ([]godo.Region, error) {
		list, err := all(ctx, "regions", func(r godo.Region) string { return r.Slug }, p.api.Regions.List)
		slices.SortFunc(list, func(a, b godo.Region) int { return cmp.Compare(a.Slug, b.Slug) })
		return list, err
	})
}

func (p *Provider) images(ctx context.Context) ([]godo.Image, error) {
	return p.catalogue.images.get(func() ([]godo.Image, error) {
		list, err := all(ctx, "images", func(i godo.Image) int { return i.ID }, p.api.Images.ListDistribution)
		slices.SortFunc(list, func(a, b godo.Image) int { return cmp.Compare(a.Slug, b.Slug) })
		return list, err
	})
}

// Catalog tells what can be had and what it costs.
func (p *Provider) Catalog(ctx context.Context) (resource.Catalog, error) {
	var c resource.Catalog
	if _, err := p.keeper(resource.KindServer); err != nil {
		return c, err
	}
	sizes, err := p.sizes(ctx)
	if err != nil {
		return c, err
	}
	regions, err := p.regions(ctx)
	if err != nil {
		return c, err
	}
	images, err := p.images(ctx)
	if err != nil {
		return c, err
	}
	for _, s := range sizes {
		if s.Available {
			c.Sizes = append(c.Sizes, resource.Size{Name: s.Slug, CPUs: s.Vcpus, MemoryMB: s.Memory, DiskGB: s.Disk, Price: priceOf(s), Regions: s.Regions})
		}
	}
	for _, r := range regions {
		c.Regions = append(c.Regions, resource.Region{Name: r.Slug, Title: r.Name, Available: r.Available})
	}
	for _, i := range images {
		if i.Slug != "" {
			c.Images = append(c.Images, resource.Image{ID: strconv.Itoa(i.ID), Name: i.Slug, Neutral: neutral(i.Slug)})
		}
	}
	return c, nil
}

func priceOf(s godo.Size) resource.Price {
	return resource.Price{Monthly: s.PriceMonthly, Currency: currency, Known: true}
}

// An image of a distribution has a slug such as debian-12-x64, ubuntu-24-04-x64 or
// rockylinux-9-x64; its neutral name is debian-12, ubuntu-24.04 or rocky-9.
var (
	slugForm    = regexp.MustCompile(`^([a-z]+(?:-stream)?)-(\d+(?:-\d+)?)-x64$`)
	neutralForm = regexp.MustCompile(`^([a-z]+)-(\d+(?:\.\d+)?)$`)
	neutralWord = map[string]string{"rockylinux": "rocky", "almalinux": "alma", "centos-stream": "centos"}
)

// neutral is the neutral name of an image's slug, or nothing.
func neutral(slug string) string {
	m := slugForm.FindStringSubmatch(slug)
	if m == nil {
		return ""
	}
	return cmp.Or(neutralWord[m[1]], m[1]) + "-" + strings.ReplaceAll(m[2], "-", ".")
}

// slug is DigitalOcean's name for a neutral one; every other name is left as it is.
func slug(name string) string {
	m := neutralForm.FindStringSubmatch(name)
	if m == nil {
		return name
	}
	word := m[1]
	for theirs, ours := range neutralWord {
		if ours == word {
			word = theirs
		}
	}
	return word + "-" + strings.ReplaceAll(m[2], ".", "-") + "-x64"
}
