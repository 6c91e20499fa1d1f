package digitalocean

import (
	"slices"
	"strings"
)

func (a *API) catalogRoutes() {
	a.handle("GET /v2/regions", a.listRegions)
	a.handle("GET /v2/sizes", a.listSizes)
}

// region is where things are.
type region struct {
	Name      string   `json:"name"`
	Slug      string   `json:"slug"`
	Features  []string `json:"features"`
	Available bool     `json:"available"`
	Sizes     []string `json:"sizes"`
}

// size is a kind of droplet with its price in US dollars.
type size struct {
	Slug         string     `json:"slug"`
	Memory       int        `json:"memory"` // MB
	VCPUs        int        `json:"vcpus"`
	Disk         int        `json:"disk"`     // GB
	Transfer     float64    `json:"transfer"` // TB
	PriceMonthly float64    `json:"price_monthly"`
	PriceHourly  float64    `json:"price_hourly"`
	Regions      []string   `json:"regions"`
	Available    bool       `json:"available"`
	Description  string     `json:"description"`
	DiskInfo     []diskInfo `json:"disk_info"`
}

type diskInfo struct {
	Type string   `json:"type"`
	Size diskSize `json:"size"`
}

type diskSize struct {
	Amount int    `json:"amount"`
	Unit   string `json:"unit"`
}

var regionNames = []struct{ slug, name string }{
	{"nyc1", "New York 1"}, {"nyc2", "New York 2"}, {"nyc3", "New York 3"}, {"ams3", "Amsterdam 3"},
	{"fra1", "Frankfurt 1"}, {"lon1", "London 1"}, {"sfo2", "San Francisco 2"}, {"sfo3", "San Francisco 3"},
	{"sgp1", "Singapore 1"}, {"tor1", "Toronto 1"}, {"blr1", "Bangalore 1"}, {"syd1", "Sydney 1"},
}

var sizes = makeSizes()

func makeSizes() []size {
	kinds := []struct {
		slug                string
		memory, vcpus, disk int
		transfer            float64
		monthly, hourly     float64
		description         string
	}{
		{"s-1vcpu-512mb-10gb", 512, 1, 10, 0.5, 4, 0.00595, "Basic"},
		{"s-1vcpu-1gb", 1024, 1, 25, 1, 6, 0.00893, "Basic"},
		{"s-1vcpu-2gb", 2048, 1, 50, 2, 12, 0.01786, "Basic"},
		{"s-2vcpu-2gb", 2048, 2, 60, 3, 18, 0.02679, "Basic"},
		{"s-2vcpu-4gb", 4096, 2, 80, 4, 24, 0.03571, "Basic"},
		{"s-4vcpu-8gb", 8192, 4, 160, 5, 48, 0.07143, "Basic"},
		{"s-8vcpu-16gb", 16384, 8, 320, 6, 96, 0.14286, "Basic"},
		{"c-2", 4096, 2, 25, 4, 42, 0.0625, "CPU-Optimized"},
		{"c-4", 8192, 4, 50, 5, 84, 0.125, "CPU-Optimized"},
		{"g-2vcpu-8gb", 8192, 2, 25, 4, 63, 0.09375, "General Purpose"},
		{"m-2vcpu-16gb", 16384, 2, 50, 4, 84, 0.125, "Memory-Optimized"},
	}
	var all []size
	for _, k := range kinds {
		all = append(all, size{
			Slug: k.slug, Memory: k.memory, VCPUs: k.vcpus, Disk: k.disk, Transfer: k.transfer,
			PriceMonthly: k.monthly, PriceHourly: k.hourly, Regions: regionSlugs(), Available: true,
			Description: k.description, DiskInfo: []diskInfo{{"local", diskSize{k.disk, "gib"}}},
		})
	}
	return all
}

func regionSlugs() []string {
	var slugs []string
	for _, r := range regionNames {
		slugs = append(slugs, r.slug)
	}
	slices.Sort(slugs)
	return slugs
}

var regions = makeRegions()

func makeRegions() []*region {
	var slugs []string
	for _, s := range sizes {
		slugs = append(slugs, s.Slug)
	}
	var all []*region
	for _, r := range regionNames {
		all = append(all, &region{
			Name: r.name, Slug: r.slug, Available: true, Sizes: slugs,
			Features: []string{"backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"},
		})
	}
	return all
}

func (a *API) listRegions(c *call) (reply, error) { return page(c, "regions", regions, same) }

func (a *API) listSizes(c *call) (reply, error) { return page(c, "sizes", sizes, same) }

func findSize(slug string) *size {
	for i := range sizes {
		if sizes[i].Slug == slug {
			return &sizes[i]
		}
	}
	return nil
}

// findRegion finds a region by its slug; a prefix such as "nyc" stands for any
// of its regions, and none for anywhere.
func findRegion(slug string) *region {
	for _, r := range regions {
		if r.Slug == slug || strings.TrimRight(r.Slug, "0123456789") == slug || slug == "" {
			return r
		}
	}
	return nil
}
