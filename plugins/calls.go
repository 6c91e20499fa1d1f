package plugins

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cloudship/cloudship/plugins/pluginpb"
	"github.com/cloudship/cloudship/resource"
)

// ask makes a call that only reads, once more if the process died under it.
func (c *Client) ask(ctx context.Context, method string, call func(pluginpb.ProviderClient) (*pluginpb.Answer, error)) (*pluginpb.Answer, error) {
	for again := true; ; again = false {
		p, err := c.take(ctx)
		if err != nil {
			return nil, err
		}
		a, err := call(p.rpc)
		if err == nil {
			return a, nil
		}
		if lost(err) {
			c.drop(p)
			if again && ctx.Err() == nil {
				continue
			}
		}
		return nil, c.transport(ctx, method, resource.Unavailable, err)
	}
}

// document writes v for the wire.
func document(v any) (*pluginpb.Document, error) {
	b, err := json.Marshal(v)
	return &pluginpb.Document{Json: b}, err
}

// Schema describes the provider; it is asked once.
func (c *Client) Schema(ctx context.Context) (resource.Schema, error) {
	c.mu.Lock()
	known := c.schema
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	var schema resource.Schema
	a, err := c.ask(ctx, "Schema", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.Schema(ctx, &pluginpb.Empty{})
	})
	if err == nil {
		err = c.open(a, &schema)
	}
	if err != nil {
		return schema, err
	}
	c.mu.Lock()
	c.schema = &schema
	c.mu.Unlock()
	return schema, nil
}

// Configure takes the provider block; the plugin is given the environment variables that its
// schema names, and no others.
func (c *Client) Configure(ctx context.Context, config resource.Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.running(ctx)
	if err != nil {
		return err
	}
	if err := c.configure(ctx, p, config); err != nil {
		return err
	}
	c.configured = &config
	return nil
}

// Catalog tells what can be had and what it costs.
func (c *Client) Catalog(ctx context.Context) (resource.Catalog, error) {
	var catalog resource.Catalog
	a, err := c.ask(ctx, "Catalog", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.Catalog(ctx, &pluginpb.Empty{})
	})
	if err == nil {
		err = c.open(a, &catalog)
	}
	return catalog, err
}

// Resolve completes specs.
func (c *Client) Resolve(ctx context.Context, wants []resource.Wish) ([]resource.Resolved, error) {
	in, err := document(wants)
	if err != nil {
		return nil, err
	}
	a, err := c.ask(ctx, "Resolve", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.Resolve(ctx, in)
	})
	if err != nil {
		return nil, err
	}
	var resolved []resource.Resolved
	return resolved, c.open(a, &resolved)
}

// Preflight tells what would stop the wanted resources from being made.
func (c *Client) Preflight(ctx context.Context, f resource.Forecast) []error {
	in, err := document(f)
	if err != nil {
		return []error{err}
	}
	a, err := c.ask(ctx, "Preflight", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.Preflight(ctx, in)
	})
	if err != nil {
		return []error{err}
	}
	var problems []error
	for _, e := range a.GetErrors() {
		problems = append(problems, errorFromWire(e))
	}
	return problems
}

// List returns every resource of the stack.
func (c *Client) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	var listing resource.Listing
	in, err := document(q)
	if err != nil {
		return listing, err
	}
	a, err := c.ask(ctx, "List", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.List(ctx, in)
	})
	if err == nil {
		err = c.open(a, &listing)
	}
	return listing, err
}

// Read returns one resource anew.
func (c *Client) Read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	query, err := json.Marshal(q)
	if err != nil {
		return resource.Found{}, err
	}
	known, err := json.Marshal(have)
	if err != nil {
		return resource.Found{}, err
	}
	a, err := c.ask(ctx, "Read", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.Read(ctx, &pluginpb.Inquiry{Query: query, Have: known})
	})
	var found resource.Found
	if err == nil {
		err = c.open(a, &found)
	}
	return found, err
}

// Retire removes what the provider keeps for a stack beside its resources.
func (c *Client) Retire(ctx context.Context, stack resource.StackID) error {
	in, err := document(stack)
	if err != nil {
		return err
	}
	a, err := c.ask(ctx, "Retire", func(rpc pluginpb.ProviderClient) (*pluginpb.Answer, error) {
		return rpc.Retire(ctx, in)
	})
	if err != nil {
		return err
	}
	return c.open(a, nil)
}

// Create makes what the call wants. It is sent once: if the process dies meanwhile, every item is
// answered with an error of kind Ambiguous.
func (c *Client) Create(ctx context.Context, call resource.Call) []resource.Result {
	return c.change(ctx, "Create", call, false)
}

// Update brings what is there to what is wanted.
func (c *Client) Update(ctx context.Context, call resource.Call) []resource.Result {
	return c.change(ctx, "Update", call, true)
}

// Delete removes resources.
func (c *Client) Delete(ctx context.Context, call resource.Call) []resource.Result {
	return c.change(ctx, "Delete", call, true)
}

// change makes a changing call; an idempotent one is repeated once if the process died under it.
func (c *Client) change(ctx context.Context, method string, call resource.Call, idempotent bool) []resource.Result {
	in, err := document(call)
	if err != nil {
		return resource.Fail(call, c.broken(method+" at", resource.Invalid, err))
	}
	for again := idempotent; ; again = false {
		p, err := c.take(ctx)
		if err != nil {
			return resource.Fail(call, err)
		}
		results, err := stream(ctx, p.rpc, method, call, in)
		if err == nil {
			return results
		}
		if lost(err) {
			c.drop(p)
			if again && ctx.Err() == nil {
				continue
			}
		}
		kind := resource.Ambiguous
		if idempotent && lost(err) {
			kind = resource.Unavailable
		}
		return resource.Fail(call, c.transport(ctx, method, kind, err))
	}
}

// errNoResults is a stream that ended without results.
var errNoResults = errors.New("the plugin ended the call without results")

// stream sends one changing call and tells its progress until the results come.
func stream(ctx context.Context, rpc pluginpb.ProviderClient, method string, call resource.Call, in *pluginpb.Document) ([]resource.Result, error) {
	// Whatever the end, the stream's resources are freed with this context.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	open := rpc.Delete
	switch method {
	case "Create":
		open = rpc.Create
	case "Update":
		open = rpc.Update
	}
	events, err := open(ctx, in)
	if err != nil {
		return nil, err
	}
	for {
		event, err := events.Recv()
		if err != nil {
			return nil, err
		}
		switch e := event.GetEvent().(type) {
		case *pluginpb.Event_Progress:
			address, err := resource.ParseAddress(e.Progress.GetAddress())
			if err != nil {
				return nil, err
			}
			call.Say(address, e.Progress.GetLine())
		case *pluginpb.Event_Results:
			return resultsFromWire(call, e.Results)
		default:
			return nil, errNoResults
		}
	}
}
