package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// builtIn is what this test binary serves when it is started as a plugin.
var builtIn = BuiltIn{"memo": func() resource.Provider { return &memo{} }}

func TestMain(m *testing.M) {
	builtIn.ServeIfAsked()
	if strings.HasPrefix(filepath.Base(os.Args[0]), Executable) { // an external provider's main
		Serve(&memo{})
		os.Exit(0)
	}
	if run, ok := parents[os.Getenv("PLUGINS_TEST_PARENT")]; ok {
		run()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// memo is a provider without a cloud: it answers from what it is asked, so that a test sees what
// crossed the wire.
type memo struct {
	config resource.Config
}

func (p *memo) Schema(context.Context) (resource.Schema, error) {
	return resource.Schema{Name: "memo", Kinds: []resource.Kind{resource.KindServer}, ListLag: time.Second,
		Credentials: []string{"MEMO_TOKEN"}}, nil
}

func (p *memo) Configure(_ context.Context, c resource.Config) error {
	p.config = c
	if os.Getenv("MEMO_TOKEN") == "" {
		return &resource.Error{Kind: resource.Unauthorized, Message: "no token", Hint: "set MEMO_TOKEN"}
	}
	return nil
}

// Catalog tells the plugin's environment, configuration and process.
func (p *memo) Catalog(context.Context) (resource.Catalog, error) {
	c := resource.Catalog{AsOf: fmt.Sprint(os.Getpid())}
	for _, pair := range os.Environ() {
		c.Regions = append(c.Regions, resource.Region{Name: pair})
	}
	c.Sizes = append(c.Sizes, resource.Size{Name: p.config.Alias})
	return c, nil
}

func (p *memo) Resolve(_ context.Context, wants []resource.Wish) ([]resource.Resolved, error) {
	var out []resource.Resolved
	for _, w := range wants {
		out = append(out, resource.Resolved{Wish: w, Price: resource.Price{Monthly: 4, Currency: "USD", Known: true}, Note: "as it was"})
	}
	return out, nil
}

func (p *memo) Preflight(_ context.Context, f resource.Forecast) []error {
	return []error{&resource.Error{Kind: resource.Quota, Message: "too many"}, errors.New("and more")}
}

// List fails with every error that the stack's name asks for.
func (p *memo) List(_ context.Context, q resource.Query) (resource.Listing, error) {
	if e, ok := everyError()[string(q.Stack)]; ok {
		return resource.Listing{}, e
	}
	found := make([]resource.Found, 0, 3000)
	for i := range cap(found) {
		found = append(found, resource.Found{Mark: resource.Mark{Stack: q.Stack, Address: resource.Server("blue", i), Generation: 1},
			Spec: &resource.ServerSpec{Group: "blue"}, Observed: []string{"group"}, Ready: true})
	}
	return resource.Listing{Found: found}, nil
}

func (p *memo) Read(_ context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	return have, nil
}

func (p *memo) Retire(context.Context, resource.StackID) error { return nil }

// Create answers with what was made and an error beside it, and tells its progress.
func (p *memo) Create(ctx context.Context, c resource.Call) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	for i, item := range c.Items {
		c.Say(item.Mark.Address, "making")
		results[i] = resource.Result{Address: item.Mark.Address, Found: &resource.Found{Mark: item.Mark, Spec: item.Spec, ID: c.UserData},
			Err: &resource.Error{Kind: resource.Failed, Message: "half made"}}
	}
	return dieOrHang(ctx, c, results)
}

func (p *memo) Update(ctx context.Context, c resource.Call) []resource.Result {
	results := make([]resource.Result, len(c.Items))
	for i, item := range c.Items {
		results[i] = resource.Result{Address: item.Mark.Address, Found: item.Have}
	}
	return dieOrHang(ctx, c, results)
}

func (p *memo) Delete(_ context.Context, c resource.Call) []resource.Result {
	return make([]resource.Result, len(c.Items)-1) // a wrong number of them
}

// dieOrHang does what the call's phase says before the results are answered.
func dieOrHang(ctx context.Context, c resource.Call, results []resource.Result) []resource.Result {
	switch c.Phase {
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "die once":
		if os.Remove(c.Tag) == nil {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	case "hang":
		c.Say(c.Items[0].Mark.Address, "hanging")
		<-ctx.Done()
		return resource.Fail(c, ctx.Err())
	}
	return results
}

// everyError holds an error of every kind with every field set, and errors that are none of ours.
func everyError() map[string]error {
	all := map[string]error{
		"plain":   errors.New("plain words and \xff"),
		"wrapped": fmt.Errorf("around: %w", &resource.Error{Kind: resource.Busy, Op: "do", Message: "later", RequestID: "r-1", Field: "f"}),
		"hinted":  resource.WithHint(&resource.Error{Kind: resource.Conflict, Message: "taken"}, "take another"),
		"caused":  &resource.Error{Kind: resource.Unavailable, Op: "ask", Cause: errors.New("connection refused")},
	}
	for _, kind := range []resource.ErrorKind{resource.Gone, resource.Conflict, resource.Busy, resource.RateLimited, resource.Quota,
		resource.Invalid, resource.Unauthorized, resource.Ambiguous, resource.Unavailable, resource.Failed} {
		all[string(kind)] = &resource.Error{Kind: kind, Op: "create droplet", Address: resource.Server("blue", 3), Message: "ümläuts and \x00",
			RequestID: "4d9d8375", Field: "size", Until: time.Date(2026, 11, 28, 12, 0, 1, 5000, time.UTC), Hint: "type this"}
	}
	return all
}

// start starts the provider of these tests with the given variables set and nothing else.
func start(t *testing.T, env map[string]string) *Client {
	t.Helper()
	c, err := Start(t.Context(), Source{Name: "memo", Stderr: t.Output(),
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func call(phase string, items ...int) resource.Call {
	c := resource.Call{Stack: "shop-k3v9qd", Phase: phase}
	for _, i := range items {
		mark := resource.Mark{Stack: "shop-k3v9qd", Address: resource.Server("blue", i), Generation: 1}
		c.Items = append(c.Items, resource.Item{Mark: mark, Spec: &resource.ServerSpec{Group: "blue", Size: "small"}, Have: &resource.Found{Mark: mark, ID: "7"}})
	}
	return c
}
