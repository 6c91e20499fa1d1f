package digitalocean

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (a *API) catalogRoutes() {
	a.handle("GET /v2/regions", a.listRegions)
	a.handle("GET /v2/sizes", a.listSizes)
	a.handle("GET /v2/images", a.listImages)
	a.handle("GET /v2/images/{image}", a.getImage)
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

// image is what a droplet starts from.
type image struct {
	ID            int       `json:"id"`
	Name          string    `json:"name"`
	Type          string    `json:"type"`
	Distribution  string    `json:"distribution"`
	Slug          *string   `json:"slug"`
	Public        bool      `json:"public"`
	Regions       []string  `json:"regions"`
	CreatedAt     time.Time `json:"created_at"`
	MinDiskSize   int       `json:"min_disk_size"`
	SizeGigabytes float64   `json:"size_gigabytes"`
	Description   string    `json:"description"`
	Tags          []string  `json:"tags"`
	Status        string    `json:"status"`

	application bool
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

var images = makeImages()

func makeImages() []*image {
	kinds := []struct {
		id                       int
		slug, distribution, name string
		application              bool
	}{
		{155133621, "debian-12-x64", "Debian", "12 x64", false},
		{195932981, "debian-13-x64", "Debian", "13 x64", false},
		{155133622, "ubuntu-22-04-x64", "Ubuntu", "22.04 (LTS) x64", false},
		{162088250, "ubuntu-24-04-x64", "Ubuntu", "24.04 (LTS) x64", false},
		{173812711, "rockylinux-9-x64", "Rocky Linux", "9 x64", false},
		{118541523, "docker-20-04", "Ubuntu", "Docker 25.0.3 on Ubuntu 22.04", true},
	}
	var all []*image
	for _, k := range kinds {
		all = append(all, &image{
			ID: k.id, Name: k.name, Type: "base", Distribution: k.distribution, Slug: &k.slug, Public: true,
			Regions: regionSlugs(), CreatedAt: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), MinDiskSize: 7,
			SizeGigabytes: 2.5, Description: k.distribution + " " + k.name, Tags: []string{}, Status: "available",
			application: k.application,
		})
	}
	return all
}

func (a *API) listRegions(c *call) (reply, error) { return page(c, "regions", regions, same) }

func (a *API) listSizes(c *call) (reply, error) { return page(c, "sizes", sizes, same) }

func (a *API) listImages(c *call) (reply, error) {
	query := c.URL.Query()
	var found []*image
	for _, i := range images {
		switch {
		case query.Get("private") == "true",
			query.Get("tag_name") != "",
			query.Get("type") == "distribution" && i.application,
			query.Get("type") == "application" && !i.application:
			continue
		}
		found = append(found, i)
	}
	return page(c, "images", found, same)
}

func (a *API) getImage(c *call) (reply, error) {
	i := findImage(c.PathValue("image"))
	if i == nil {
		return reply{}, notFound()
	}
	return reply{http.StatusOK, map[string]any{"image": i}}, nil
}

// findImage finds an image by its slug or id, nil if there is none.
func findImage(name string) *image {
	for _, i := range images {
		if *i.Slug == name || strconv.Itoa(i.ID) == name {
			return i
		}
	}
	return nil
}

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
