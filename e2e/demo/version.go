package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// alone waits until a URL is answered by one version alone: twenty times in a row. As long as the
// group before is still among the members, its answers come in between.
func alone(ctx context.Context, url, want string) error {
	row := 0
	return await(ctx, 10*time.Minute, func() error {
		for row < 20 {
			got, err := version(ctx, url)
			if err == nil && got != want {
				err = fmt.Errorf("%s answers", got)
			}
			if err != nil {
				row = 0
				return err
			}
			row++
		}
		return nil
	})
}

func version(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	return answer.Header.Get("X-Version"), answer.Body.Close()
}

// newestTag is the timestamp of the newest release's image.
func (p *leads) newestTag(ctx context.Context) (string, error) {
	out := p.Run(ctx, append([]string{"releases", "--json"}, p.vars...)...)
	if out.Err != nil {
		return "", out.Err
	}
	var list struct {
		Releases map[string]resource.ReleaseEntry `json:"releases"`
	}
	// A stream: the first object names its version, the last one is the answer.
	lines := strings.Split(strings.TrimSpace(out.Stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &list); err != nil {
		return "", fmt.Errorf("releases --json: %w", err)
	}
	var newest resource.ReleaseEntry
	for _, r := range list.Releases {
		if r.Made.After(newest.Made) {
			newest = r
		}
	}
	for _, tag := range newest.Tags {
		if strings.ContainsAny(tag, "0123456789") {
			return tag, nil
		}
	}
	return "", errors.New("the newest release has no tag")
}
