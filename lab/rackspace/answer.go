package rackspace

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is an answer that is not a success.
type Error struct {
	Status     int
	Message    string
	Invalid    []string      // of a load balancer's request: what is wrong with it
	RetryAfter time.Duration // of an over-limit answer
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Message) }

func fail(status int, format string, args ...any) error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// invalid is the answer to a request for a load balancer that is not as it
// shall be.
func invalid(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Message: "Validation Failure", Invalid: []string{fmt.Sprintf(format, args...)}}
}

// faultNames are how Nova and Identity name their errors.
var faultNames = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 409: "conflictingRequest",
	413: "overLimit", 415: "badMediaType", 500: "computeFault", 501: "notImplemented", 503: "serviceUnavailable",
}

// encodeError answers an error as its service says it; what is no Error is the
// lab's own fault.
func encodeError(s service, err error) (header map[string]string, status int, body []byte) {
	e := &Error{Status: http.StatusInternalServerError, Message: err.Error()}
	errors.As(err, &e)
	switch {
	case e.RetryAfter > 0:
		seconds := int(e.RetryAfter/time.Second) + 1
		at := time.Now().UTC().Add(e.RetryAfter).Format(time.RFC3339)
		body, _ = json.Marshal(map[string]any{"overLimit": map[string]any{
			"code": e.Status, "message": "OverLimit Retry...", "details": "Error Details...", "retryAfter": at,
		}})
		return map[string]string{"Retry-After": strconv.Itoa(seconds)}, e.Status, body
	case s == loadBalancers && e.Status == http.StatusUnauthorized:
		return nil, e.Status, nil
	case s == loadBalancers && len(e.Invalid) > 0:
		body, _ = json.Marshal(map[string]any{
			"validationErrors": map[string]any{"messages": e.Invalid}, "message": e.Message, "code": e.Status, "details": "The object is not valid",
		})
	case s == loadBalancers && e.Message == badSchema:
		body, _ = json.Marshal(map[string]any{"message": []string{badSchema}, "code": e.Status})
	case s == loadBalancers:
		body, _ = json.Marshal(map[string]any{"message": e.Message, "code": e.Status, "details": ""})
	default:
		body = envelope(e.Status, e.Message)
	}
	return nil, e.Status, body
}

// envelope is an error as Nova and Identity write it.
func envelope(status int, message string) []byte {
	name, ok := faultNames[status]
	if !ok {
		name = "computeFault"
	}
	body, _ := json.Marshal(map[string]any{name: map[string]any{"message": message, "code": status}})
	return body
}

// write answers an error outside of a handler.
func write(w http.ResponseWriter, s service, err error) {
	header, status, body := encodeError(s, err)
	for name, value := range header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// Fail writes an error that a rule asked for, for the gate. A 413 is the
// proxy's before all services, a gateway's errors are not JSON, and 422 is
// known to load balancers only.
func Fail(w http.ResponseWriter, status int, message string) {
	if message == "" {
		message = http.StatusText(status)
	}
	switch status {
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><body><h1>%d %s</h1>\n%s</body></html>\n", status, http.StatusText(status), message)
		return
	case http.StatusUnprocessableEntity, http.StatusGone:
		write(w, loadBalancers, &Error{Status: status, Message: message})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(envelope(status, message))
}

// badSchema is how a load balancer's request that cannot be read is answered.
const badSchema = "JSON does not match the expected schema"

// decode reads the request's body.
func (c *call) decode(v any) error {
	if err := json.NewDecoder(c.Body).Decode(v); err != nil {
		if c.service == loadBalancers {
			return &Error{Status: http.StatusBadRequest, Message: badSchema}
		}
		return fail(http.StatusBadRequest, "Malformed request body")
	}
	return nil
}

// number reads a path's value that is a whole number, 0 if it is none.
func (c *call) number(name string) int {
	n, _ := strconv.Atoi(c.PathValue(name))
	return n
}

// query reads a number of the query, or what it is unless it is said.
func (c *call) query(name string, unset int) int {
	if n, err := strconv.Atoi(c.URL.Query().Get(name)); err == nil {
		return n
	}
	return unset
}

// newUUID makes a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
