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

// version waits until a URL is answered by a version.
func version(ctx context.Context, url, want string) error {
	return await(ctx, 10*time.Minute, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("X-Version"); got != want {
			return fmt.Errorf("%s answers", got)
		}
		return nil
	})
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
