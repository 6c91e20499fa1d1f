package digitalocean

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// shifting serves a list whose rows shift between its pages: the first time, a row of the first
// page goes while the second is asked for.
func shifting(rows []int, drop int) (pages func(context.Context, *godo.ListOptions) ([]int, *godo.Response, error), asked *int) {
	asked = new(int)
	return func(_ context.Context, o *godo.ListOptions) ([]int, *godo.Response, error) {
		*asked++
		if *asked == 2 && drop > 0 {
			rows = slices.Delete(slices.Clone(rows), 0, drop)
		}
		from, to := min((o.Page-1)*2, len(rows)), min(o.Page*2, len(rows))
		response := &godo.Response{Meta: &godo.Meta{Total: len(rows)}}
		if to < len(rows) {
			response.Links = &godo.Links{Pages: &godo.Pages{Next: "more"}}
		}
		return rows[from:to], response, nil
	}, asked
}

func TestListIsBegunAgainWhenRowsShifted(t *testing.T) {
	for name, c := range map[string]struct {
		rows        []int
		drop, asked int
	}{
		"nothing there":             {nil, 0, 1},
		"one page":                  {[]int{1, 2}, 0, 1},
		"three pages":               {[]int{1, 2, 3, 4, 5}, 0, 3},
		"one of five rows goes":     {[]int{1, 2, 3, 4, 5}, 1, 4},
		"two of six rows go":        {[]int{1, 2, 3, 4, 5, 6}, 2, 4},
		"all but one of three rows": {[]int{1, 2, 3}, 2, 3},
	} {
		page, asked := shifting(c.rows, c.drop)
		list, err := all(t.Context(), "rows", func(n int) int { return n }, page)
		if want := c.rows[c.drop:]; err != nil || list == nil || !slices.Equal(list, want) || *asked != c.asked {
			t.Errorf("%s: want %v, have %v after %d pages, %v", name, want, list, *asked, err)
		}
		seen := map[int]bool{}
		for _, n := range list {
			if seen[n] {
				t.Errorf("%s: %d comes twice", name, n)
			}
			seen[n] = true
		}
	}
}

// A droplet whose creation failed may simply vanish; its action tells why.
func TestVanishedDropletIsGoneWithItsCause(t *testing.T) {
	api := http.NewServeMux()
	api.HandleFunc("GET /v2/actions/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"action":{"id":99,"type":"create","status":"errored","resource_id":7}}`))
	})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	client, err := godo.New(server.Client(), godo.SetBaseURL(server.URL+"/"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{api: client}
	have := resource.Found{Mark: resource.Mark{Stack: "shop-k3v9qd", Address: resource.Server("blue", 0), Generation: 1}, ID: "7", Created: time.Now()}
	_, err = p.Read(t.Context(), resource.Query{}, have)
	if resource.KindOf(err) != resource.Busy {
		t.Errorf("a droplet of a moment ago that is not shown: %v", err)
	}
	p.births.note(7, 99)
	_, err = p.Read(t.Context(), resource.Query{}, have)
	if !resource.IsGone(err) || !strings.Contains(err.Error(), "errored") {
		t.Errorf("its creation has failed: %v", err)
	}
	have.Created = time.Now().Add(-time.Hour)
	p.births = births{}
	if _, err = p.Read(t.Context(), resource.Query{}, have); !resource.IsGone(err) {
		t.Errorf("a droplet of an hour ago: %v", err)
	}
}
