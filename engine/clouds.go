package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// cloud is a provider that runs and is configured.
type cloud struct {
	client *plugins.Client
	schema resource.Schema
	config resource.Config
}

// openClouds starts and configures the plugins of all provider blocks, in parallel.
func (s *Session) openClouds(ctx context.Context, configs map[string]providerConfig) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, alias := range slices.Sorted(maps.Keys(configs)) {
		if s.clouds[alias] != nil {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := s.openCloud(ctx, configs[alias])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			s.clouds[alias] = c
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// providerConfig is a provider block: which plugin, and what it is told.
type providerConfig struct {
	plugin string
	config resource.Config
}

// blocks are the provider blocks of the stack file, and of earlier ones that may still hold things
// of ours.
func (s *Session) blocks() map[string]providerConfig {
	configs := map[string]providerConfig{}
	for alias, config := range s.Memory().Providers {
		plugin, _ := config.Values["plugin"].(string)
		configs[alias] = providerConfig{or(plugin, alias), config}
	}
	for _, p := range s.stack.Providers {
		if _, ok := configs[p.Alias]; ok && s.options.Looking {
			continue // it may rest on a variable that nobody gave
		}
		configs[p.Alias] = providerConfig{p.Plugin, p.Config()}
	}
	used := map[string]bool{}
	for _, r := range s.Memory().Records {
		used[r.Provider] = true
	}
	for alias := range configs {
		if s.stack.Provider(alias) == nil && !used[alias] {
			delete(configs, alias)
		}
	}
	return configs
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (s *Session) openCloud(ctx context.Context, p providerConfig) (*cloud, error) {
	source, err := s.plugin(p.plugin)
	if err != nil {
		return nil, err
	}
	client, err := plugins.Start(ctx, source)
	if err != nil {
		return nil, err
	}
	schema, err := client.Schema(ctx)
	if err == nil {
		err = s.patiently(ctx, func() error { return client.Configure(ctx, p.config) })
	}
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("provider %s: %w", p.config.Alias, err)
	}
	for _, name := range schema.Credentials {
		if v, ok := s.lookupEnv(name); ok {
			s.options.Redactor.Add(v)
		}
	}
	return &cloud{client: client, schema: schema, config: p.config}, nil
}

// plugin finds the plugin of a name: built in, or an executable on the plugin path.
func (s *Session) plugin(name string) (plugins.Source, error) {
	source := plugins.Source{Name: name, LookupEnv: s.lookupEnv, Stderr: s.options.Stderr}
	if _, ok := s.options.BuiltIn[name]; ok {
		return source, nil
	}
	return s.external(source)
}

// drivers are who can be asked and called.
func (s *Session) drivers() plan.Drivers {
	d := plan.Drivers{Clouds: map[string]plan.Cloud{}}
	for alias, c := range s.clouds {
		d.Clouds[alias] = plan.Cloud{Driver: c.client, Schema: c.schema}
	}
	if s.hosts != nil {
		d.Hosts = s.hosts
	}
	return d
}

func (s *Session) schemas() map[string]resource.Schema {
	schemas := map[string]resource.Schema{}
	for alias, c := range s.clouds {
		schemas[alias] = c.schema
	}
	return schemas
}
