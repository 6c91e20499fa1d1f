package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// destroyServer deletes the stack's one droplet as somebody else would: in the cloud, past the
// program. It returns when no list has it.
func (d *demonstration) destroyServer(ctx context.Context) error {
	droplets, err := d.droplets(ctx)
	if err != nil {
		return err
	}
	if len(droplets) != 1 {
		return fmt.Errorf("the cloud has %d droplets, want 1", len(droplets))
	}
	if err := d.call(ctx, http.MethodDelete, fmt.Sprintf("/v2/droplets/%d", droplets[0]), nil); err != nil {
		return err
	}
	return await(ctx, time.Minute, func() error {
		left, err := d.droplets(ctx)
		if err == nil && len(left) > 0 {
			err = errors.New("the droplet is still listed")
		}
		return err
	})
}

func (d *demonstration) droplets(ctx context.Context) ([]int, error) {
	var list struct {
		Droplets []struct {
			ID int `json:"id"`
		} `json:"droplets"`
	}
	err := d.call(ctx, http.MethodGet, "/v2/droplets?per_page=200", &list)
	var ids []int
	for _, one := range list.Droplets {
		ids = append(ids, one.ID)
	}
	return ids, err
}

// call asks the lab's DigitalOcean; into may be nil.
func (d *demonstration) call(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, d.variable("DIGITALOCEAN_API_URL")+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.variable("DIGITALOCEAN_TOKEN"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// variable is one of the program's environment.
func (d *demonstration) variable(name string) string {
	for _, pair := range d.Env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
