package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cloudship/cloudship/plugins/pluginpb"
	"github.com/cloudship/cloudship/resource"
)

// Client is a provider in a process of its own. It may be used concurrently. When the process dies,
// the next call starts it again and configures it as before; calls that are idempotent are then
// repeated once, a create is answered with an error of kind Ambiguous.
type Client struct {
	source Source

	mu         sync.Mutex
	process    *process
	schema     *resource.Schema
	configured *resource.Config // what the last Configure that succeeded was given
	closed     bool
}

var _ resource.Provider = (*Client)(nil)

// errClosed is the answer of a client after Close.
var errClosed = errors.New("it was ended")

// Start starts a provider's process. The caller closes the client. The context bounds the start
// only.
func Start(ctx context.Context, s Source) (*Client, error) {
	c := &Client{source: s}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.running(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the process. It may be called more than once.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.process != nil {
		c.process.kill()
		c.process = nil
	}
	return nil
}

// Pid is the process's id, or "" when there is none.
func (c *Client) Pid() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return ""
	}
	return c.process.client.ID()
}

// running gives the process, started and configured. c.mu is held.
func (c *Client) running(ctx context.Context) (*process, error) {
	if c.closed {
		return nil, c.broken("use", resource.Unavailable, errClosed)
	}
	if c.process != nil && !c.process.client.Exited() {
		return c.process, nil
	}
	if c.process != nil {
		c.process.kill()
		c.process = nil
	}
	p, err := launch(ctx, c.source)
	if err != nil {
		return nil, c.broken("start", resource.Unavailable, err)
	}
	if c.configured != nil {
		if err := c.configure(ctx, p, *c.configured); err != nil {
			p.kill()
			return nil, err
		}
	}
	c.process = p
	return p, nil
}

// take gives the running process to a call.
func (c *Client) take(ctx context.Context) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running(ctx)
}

// drop puts a process aside that a call found broken, unless another call did so already.
func (c *Client) drop(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == p {
		p.kill()
		c.process = nil
	}
}

// configure tells a process its configuration and credentials.
func (c *Client) configure(ctx context.Context, p *process, config resource.Config) error {
	if c.schema == nil {
		reply, err := p.rpc.Schema(ctx, &pluginpb.Empty{})
		if err != nil {
			return c.transport(ctx, "Schema", resource.Unavailable, err)
		}
		var schema resource.Schema
		if err := c.open(reply, &schema); err != nil {
			return err
		}
		c.schema = &schema
	}
	b, err := json.Marshal(config)
	if err != nil {
		return c.broken("configure", resource.Invalid, err)
	}
	reply, err := p.rpc.Configure(ctx, &pluginpb.Settings{Config: b, Environment: c.source.credentials(*c.schema)})
	if err != nil {
		return c.transport(ctx, "Configure", resource.Unavailable, err)
	}
	return c.open(reply, nil)
}

// open reads an answer's document into v, or gives its error.
func (c *Client) open(a *pluginpb.Answer, v any) error {
	if len(a.GetErrors()) > 0 {
		return errorFromWire(a.GetErrors()[0])
	}
	if v == nil {
		return nil
	}
	if err := decode(a.GetJson(), v); err != nil {
		return &resource.Error{Kind: resource.Invalid, Op: "provider " + c.source.Name, Message: err.Error(),
			Hint: "the plugin and cloudship are of different versions: bring both up to date"}
	}
	return nil
}

// broken is an error of the process or of the line to it.
func (c *Client) broken(op string, kind resource.ErrorKind, cause error) error {
	return &resource.Error{Kind: kind, Op: op + " the plugin of provider " + c.source.Name, Cause: cause}
}

// transport makes an error of the line to the plugin one of ours.
func (c *Client) transport(ctx context.Context, method string, kind resource.ErrorKind, err error) error {
	cause := errors.New(status.Convert(err).Message())
	switch {
	case ctx.Err() != nil:
		cause = context.Cause(ctx)
	case lost(err):
		cause = errors.New("the plugin's process ended during the call")
	case status.Code(err) == codes.Unimplemented:
		kind = resource.Invalid
	}
	return &resource.Error{Kind: kind, Op: fmt.Sprintf("%s at provider %s", method, c.source.Name), Cause: cause}
}

// lost reports whether the line to the process is gone.
func lost(err error) bool {
	return status.Code(err) == codes.Unavailable || errors.Is(err, io.EOF)
}
