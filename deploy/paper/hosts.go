package paper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// hosts reaches paper servers by their public addresses.
type hosts struct {
	url    string
	client *http.Client
}

// disk is all files of a server as they were read.
type disk map[string]json.RawMessage

// get decodes a file; false where there is none.
func (d disk) get(name string, into any) (bool, error) {
	content, ok := d[name]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return true, nil
}

// host is one server that is worked on.
type host struct {
	hosts
	server resource.Found
}

func (h hosts) on(server resource.Found) host { return host{h, server} }

// read answers all files of the server.
func (h host) read(ctx context.Context) (disk, error) {
	var d disk
	return d, h.do(ctx, http.MethodGet, "", nil, &d)
}

// write replaces a file in one motion.
func (h host) write(ctx context.Context, name string, content any) error {
	return h.do(ctx, http.MethodPut, name, content, nil)
}

// remove removes a file; one that is gone is no error.
func (h host) remove(ctx context.Context, name string) error {
	return h.do(ctx, http.MethodDelete, name, nil, nil)
}

// do makes one request. A server that does not answer is an error of kind Unavailable, as one that
// SSH does not reach.
func (h host) do(ctx context.Context, method, name string, content, into any) error {
	a := h.server.Mark.Address
	fail := func(err error) error {
		return &resource.Error{Kind: resource.Unavailable, Op: "reach " + h.server.Facts.PublicIP, Address: a, Cause: err}
	}
	if h.server.Facts.PublicIP == "" {
		return fail(fmt.Errorf("%s has no address yet", a))
	}
	place := h.url + "/" + url.PathEscape(h.server.Facts.PublicIP)
	if name != "" {
		place += "/" + name
	}
	var body io.Reader
	if content != nil {
		b, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		body = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, place, body)
	if err != nil {
		return err
	}
	answer, err := h.client.Do(request)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s", strings.TrimSpace(string(b)))
	}
	if err != nil {
		return fail(err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}
