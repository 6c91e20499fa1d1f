package lab_test

import (
	"fmt"
	"testing"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/digitalocean/godo"
)

// BenchmarkThousandOnPaper is how long it takes to make a thousand droplets
// and to list them.
func BenchmarkThousandOnPaper(b *testing.B) {
	instant := cloud.Instant()
	l, err := lab.Start(b.Context(), lab.Options{Faults: &instant, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := oceanClient(b, l.URL(lab.DigitalOcean), l.Token())
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			for i := range 100 {
				r := &godo.DropletMultiCreateRequest{
					Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"}, Tags: []string{"all"},
				}
				for j := range 10 {
					r.Names = append(r.Names, fmt.Sprintf("web-%d", i*10+j))
				}
				if _, _, err := c.Droplets.CreateMultiple(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if _, err := c.Droplets.DeleteByTag(b.Context(), "all"); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	for i := range 100 {
		r := &godo.DropletMultiCreateRequest{
			Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"}, Tags: []string{"some"},
		}
		for j := range 10 {
			r.Names = append(r.Names, fmt.Sprintf("app-%d", i*10+j))
		}
		if _, _, err := c.Droplets.CreateMultiple(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			for page := 1; page <= 5; page++ {
				list, _, err := c.Droplets.ListByTag(b.Context(), "some", &godo.ListOptions{Page: page, PerPage: 200})
				if err != nil || len(list) != 200 {
					b.Fatal(len(list), err)
				}
			}
		}
	})
}
