package rackspace

import (
	"net/http"
	"slices"
	"strings"
)

func (a *API) catalogRoutes() {
	a.handle(compute, "GET /flavors", a.listFlavors(false))
	a.handle(compute, "GET /flavors/detail", a.listFlavors(true))
	a.handle(compute, "GET /flavors/{flavor}", a.getFlavor)
	a.handle(compute, "GET /images", a.listImages(false))
	a.handle(compute, "GET /images/detail", a.listImages(true))
	a.handle(compute, "GET /images/{image}", a.getImage)
	a.handle(compute, "GET /limits", func(c *call) (reply, error) {
		return reply{status: http.StatusOK, body: a.limitsBody(c)}, nil
	})
	a.handle(compute, "GET /os-networksv2", func(*call) (reply, error) {
		return reply{status: http.StatusOK, body: map[string]any{"networks": []map[string]string{
			{"id": publicNet, "label": "public"}, {"id": serviceNet, "label": "private"},
		}}}, nil
	})
}

// flavor is a size of server.
type flavor struct {
	ID, Name         string
	RAM, VCPUs, Disk int // MB, number, GB
	Ephemeral        int // GB
	Class            string
}

var flavors = []flavor{
	{"2", "512MB Standard Instance", 512, 1, 20, 0, "standard1"},
	{"3", "1GB Standard Instance", 1024, 1, 40, 0, "standard1"},
	{"4", "2GB Standard Instance", 2048, 2, 80, 0, "standard1"},
	{"5", "4GB Standard Instance", 4096, 2, 160, 0, "standard1"},
	{"general1-1", "1 GB General Purpose v1", 1024, 1, 20, 0, "general1"},
	{"general1-2", "2 GB General Purpose v1", 2048, 2, 40, 0, "general1"},
	{"general1-4", "4 GB General Purpose v1", 4096, 4, 80, 0, "general1"},
	{"general1-8", "8 GB General Purpose v1", 8192, 8, 160, 0, "general1"},
	{"compute1-4", "3.75 GB Compute v1", 3840, 2, 0, 0, "compute1"},
	{"compute1-8", "7.5 GB Compute v1", 7680, 4, 0, 0, "compute1"},
	{"compute1-15", "15 GB Compute v1", 15360, 8, 0, 0, "compute1"},
	{"compute1-30", "30 GB Compute v1", 30720, 16, 0, 0, "compute1"},
	{"compute1-60", "60 GB Compute v1", 61440, 32, 0, 0, "compute1"},
	{"io1-15", "15 GB I/O v1", 15360, 4, 40, 150, "io1"},
	{"io1-30", "30 GB I/O v1", 30720, 8, 40, 300, "io1"},
	{"io1-60", "60 GB I/O v1", 61440, 16, 40, 600, "io1"},
	{"io1-90", "90 GB I/O v1", 92160, 24, 40, 900, "io1"},
	{"io1-120", "120 GB I/O v1", 122880, 32, 40, 1200, "io1"},
	{"memory1-15", "15 GB Memory v1", 15360, 2, 0, 0, "memory1"},
	{"memory1-30", "30 GB Memory v1", 30720, 4, 0, 0, "memory1"},
	{"memory1-60", "60 GB Memory v1", 61440, 8, 0, 0, "memory1"},
	{"memory1-120", "120 GB Memory v1", 122880, 16, 0, 0, "memory1"},
	{"memory1-240", "240 GB Memory v1", 245760, 32, 0, 0, "memory1"},
}

func findFlavor(id string) *flavor {
	for i := range flavors {
		if flavors[i].ID == id {
			return &flavors[i]
		}
	}
	return nil
}

func (a *API) viewFlavor(c *call, f *flavor, detail bool) map[string]any {
	v := map[string]any{"id": f.ID, "name": f.Name, "links": a.links(c, "flavors", f.ID)}
	if detail {
		v["ram"], v["vcpus"], v["disk"], v["swap"], v["rxtx_factor"] = f.RAM, f.VCPUs, f.Disk, "", float64(f.RAM)/1024*80
		v["OS-FLV-EXT-DATA:ephemeral"] = f.Ephemeral
		v["OS-FLV-WITH-EXT-SPECS:extra_specs"] = map[string]string{"class": f.Class, "policy_class": f.Class + "_flavor"}
	}
	return v
}

func (a *API) listFlavors(detail bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		page, next, err := pageOf(c, flavors, func(f flavor) string { return f.ID }, mostPerPage)
		if err != nil {
			return reply{}, err
		}
		list := []any{}
		for i := range page {
			list = append(list, a.viewFlavor(c, &page[i], detail))
		}
		return linked("flavors", list, next), nil
	}
}

// linked is a page of a list with the link to the next one.
func linked(name string, list []any, next string) reply {
	body := map[string]any{name: list}
	if next != "" {
		body[name+"_links"] = []link{{"next", next}}
	}
	return reply{status: http.StatusOK, body: body}
}

func (a *API) getFlavor(c *call) (reply, error) {
	f := findFlavor(c.PathValue("flavor"))
	if f == nil {
		return reply{}, fail(http.StatusNotFound, "The resource could not be found.")
	}
	return reply{status: http.StatusOK, body: map[string]any{"flavor": a.viewFlavor(c, f, true)}}, nil
}

// image is what a server starts from.
type image struct {
	ID, Name        string
	Slug            string // of the lab's machine behind it
	MinDisk, MinRAM int
}

// baseImages are images as Rackspace names them. Their ids are the lab's own:
// real ones change with every refresh.
var baseImages = []image{
	{"6c6b4c9c-0f5f-4a0b-9a0e-d12b00c0de12", "Debian 12 (Bookworm) (PVHVM)", "debian-12-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-d13b00c0de13", "Debian 13 (Trixie) (PVHVM)", "debian-13-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-d11b00c0de11", "Debian 11 (Bullseye) (PVHVM)", "debian-11-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-22040000c0de", "Ubuntu 22.04 LTS (Jammy Jellyfish) (PVHVM)", "ubuntu-22-04-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-24040000c0de", "Ubuntu 24.04 LTS (Noble Numbat) (PVHVM)", "ubuntu-24-04-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-00090000c0de", "Rocky Linux 9 (PVHVM)", "rockylinux-9-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-00a90000c0de", "AlmaLinux 9 (PVHVM)", "almalinux-9-x64", 20, 512},
	{"6c6b4c9c-0f5f-4a0b-9a0e-00070000c0de", "CentOS 7 (PVHVM)", "centos-7-x64", 20, 512},
}

// offered are the images whose machines can be made; nil means all.
func offered(slugs []string) []image {
	if slugs == nil {
		return baseImages
	}
	return slices.DeleteFunc(slices.Clone(baseImages), func(i image) bool { return !slices.Contains(slugs, i.Slug) })
}

func (a *API) findImage(id string) *image {
	for i := range a.images {
		if a.images[i].ID == id {
			return &a.images[i]
		}
	}
	return nil
}

// slugOf is the machine behind an image.
func (a *API) slugOf(id string) string {
	if i := a.findImage(id); i != nil {
		return i.Slug
	}
	return a.images[0].Slug
}

func (a *API) viewImage(c *call, i *image, detail bool) map[string]any {
	v := map[string]any{"id": i.ID, "name": i.Name, "links": a.links(c, "images", i.ID)}
	if detail {
		v["status"], v["progress"], v["minDisk"], v["minRam"] = "ACTIVE", 100, i.MinDisk, i.MinRAM
		v["created"], v["updated"], v["OS-EXT-IMG-SIZE:size"], v["OS-DCF:diskConfig"] = "2026-01-15T10:00:00Z", "2026-01-15T10:30:00Z", 500_000_000, "AUTO"
		v["metadata"] = map[string]string{"auto_disk_config": "True", "image_type": "base", "vm_mode": "hvm", "os_type": "linux"}
	}
	return v
}

func (a *API) listImages(detail bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		query := c.URL.Query()
		all := slices.DeleteFunc(slices.Clone(a.images), func(i image) bool {
			name := query.Get("name")
			return name != "" && i.Name != name || strings.EqualFold(query.Get("type"), "SNAPSHOT") || differs(query, "status", "ACTIVE")
		})
		page, next, err := pageOf(c, all, func(i image) string { return i.ID }, mostPerPage)
		if err != nil {
			return reply{}, err
		}
		list := []any{}
		for i := range page {
			list = append(list, a.viewImage(c, &page[i], detail))
		}
		return linked("images", list, next), nil
	}
}

func (a *API) getImage(c *call) (reply, error) {
	i := a.findImage(c.PathValue("image"))
	if i == nil {
		return reply{}, fail(http.StatusNotFound, "Image not found.")
	}
	return reply{status: http.StatusOK, body: map[string]any{"image": a.viewImage(c, i, true)}}, nil
}
