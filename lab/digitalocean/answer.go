package digitalocean

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Error is an answer that is not a success.
type Error struct {
	Status  int
	ID      string // such as "not_found"
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.ID, e.Message) }

func errorID(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "bad_request"
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusConflict:
		return "conflict"
	case http.StatusPreconditionFailed:
		return "precondition_failed"
	case http.StatusUnprocessableEntity:
		return "unprocessable_entity"
	case http.StatusTooManyRequests:
		return "too_many_requests"
	}
	return "server_error"
}

func fail(status int, format string, args ...any) error {
	return &Error{status, errorID(status), fmt.Sprintf(format, args...)}
}

func notFound() error {
	return fail(http.StatusNotFound, "The resource you were accessing could not be found.")
}

func invalid(format string, args ...any) error {
	return fail(http.StatusUnprocessableEntity, format, args...)
}

func pendingEvent(what string) error { return invalid("%s already has a pending event.", what) }

// encodeError answers the status and the body of an error; what is no Error is
// the lab's own fault.
func encodeError(err error, requestID string) (int, []byte) {
	e := &Error{http.StatusInternalServerError, "server_error", err.Error()}
	errors.As(err, &e)
	answer := map[string]any{"id": e.ID, "message": e.Message}
	if requestID != "" {
		answer["request_id"] = requestID
	}
	if e.Status == http.StatusBadRequest { // some services answer so, others so
		answer["error"], answer["root_causes"] = e.Message, []string{}
	}
	body, _ := json.Marshal(answer)
	return e.Status, body
}

// write answers an error outside of a handler.
func write(w http.ResponseWriter, err error) {
	status, body := encodeError(err, w.Header().Get("X-Request-Id"))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}

// decode reads the request's body. An empty body leaves v as it is.
func (c *call) decode(v any) error {
	d := json.NewDecoder(c.Body)
	if c.ContentLength == 0 {
		return nil
	}
	if err := d.Decode(v); err != nil {
		return fail(http.StatusBadRequest, "Unable to parse the request body: %v", err)
	}
	return nil
}

// number reads a path's value that is a whole number; others are not found.
func (c *call) number(name string) (int, error) {
	n, err := strconv.Atoi(c.PathValue(name))
	if err != nil || n < 1 {
		return 0, notFound()
	}
	return n, nil
}

// The size of a page if none is asked for, and the largest one.
const (
	defaultPage = 20
	largestPage = 200
)

// page answers the asked-for page of a list under its name, each item by view.
func page[V, W any](c *call, name string, all []V, view func(V) W) (reply, error) {
	query := c.URL.Query()
	number, err := pageNumber(query, "page", 1, 1<<30)
	if err != nil {
		return reply{}, err
	}
	size, err := pageNumber(query, "per_page", defaultPage, largestPage)
	if err != nil {
		return reply{}, err
	}
	from := min((number-1)*size, len(all))
	to := min(from+size, len(all))
	items := make([]W, 0, to-from)
	for _, v := range all[from:to] {
		items = append(items, view(v))
	}
	last := max((len(all)+size-1)/size, 1)
	return reply{http.StatusOK, map[string]any{
		name:    items,
		"links": map[string]any{"pages": pages(c, query, number, last)},
		"meta":  map[string]int{"total": len(all)},
	}}, nil
}

func pageNumber(query url.Values, name string, unset, largest int) (int, error) {
	s := query.Get(name)
	if s == "" {
		return unset, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > largest {
		return 0, invalid("%s must be a number from 1 to %d", name, largest)
	}
	return n, nil
}

// pages are the links to the other pages, only those that make sense.
func pages(c *call, query url.Values, number, last int) map[string]string {
	links := map[string]string{}
	link := func(name string, n int) {
		query.Set("page", strconv.Itoa(n))
		links[name] = "http://" + c.Host + c.URL.Path + "?" + query.Encode()
	}
	if number > 1 {
		link("first", 1)
		link("prev", min(number-1, last))
	}
	if number < last {
		link("next", number+1)
		link("last", last)
	}
	return links
}

// same views an item as it is.
func same[V any](v V) V { return v }

// newUUID makes a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
