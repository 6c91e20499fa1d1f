package digitalocean

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// effect is what a request may have done when its answer is lost.
type effect int

const (
	reading    effect = iota // nothing
	repeatable               // something that doing it again does not change
	once                     // a create: it must be looked for before it is done again
)

// lost is the kind of error of a request whose answer never came.
func (e effect) lost() resource.ErrorKind {
	if e == reading {
		return resource.Unavailable
	}
	return resource.Ambiguous
}

// fault makes an error of godo, of the network or of the API one of resource's kinds. op says what
// was being done, and address to which resource.
func fault(op string, address resource.Address, err error, e effect) error {
	if err == nil {
		return nil
	}
	if ours := (*resource.Error)(nil); errors.As(err, &ours) {
		return err
	}
	out := &resource.Error{Op: op, Address: address, Cause: err}
	var answer *godo.ErrorResponse
	var unsendable *godo.ArgError
	switch {
	case errors.As(err, &answer):
		return refusal(out, answer, e)
	case errors.As(err, &unsendable):
		out.Kind = resource.Invalid
	case plugins.Unsent(err), unreached(err):
		out.Kind = resource.Unavailable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		out.Kind = e.lost()
	default: // a connection that broke, an answer that could not be read
		out.Kind = e.lost()
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		out.Message = "no answer that could be read: it was no JSON"
	case out.Kind == resource.Ambiguous:
		out.Message = "no answer from DigitalOcean: " + rootOf(err).Error()
	}
	return out
}

// unreached reports whether there was no connection at all.
func unreached(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || (errors.As(err, &op) && op.Op == "dial")
}

// rootOf is the last error of a chain: without the URL, which says nothing that op does not.
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// refusal reads what the API answered.
func refusal(out *resource.Error, answer *godo.ErrorResponse, e effect) error {
	status := answer.Response.StatusCode
	out.RequestID, out.Message = answer.RequestID, words(answer)
	switch {
	case status == http.StatusUnauthorized:
		out.Kind = resource.Unauthorized
		out.Hint = "check " + tokenVariable + ": it is wrong, expired or revoked (tokens are made at " + tokenPage + ")"
	case status == http.StatusTooManyRequests:
		out.Kind = resource.RateLimited
		out.Until = until(answer.Response.Header, time.Now())
	case status >= 500:
		out.Kind = resource.Unavailable
		if e == once {
			out.Kind = resource.Ambiguous
		}
	case status == http.StatusNotFound:
		out.Kind = resource.Gone
		if e == once { // what it was to be made from is not there
			out.Kind = resource.Invalid
		}
	default:
		out.Kind = byWords(status, out.Message)
		switch out.Kind {
		case resource.Unauthorized:
			out.Hint = "give the token in " + tokenVariable + " the scope for this (" + tokenPage + ")"
		case resource.Quota:
			out.Hint = "ask for a higher limit (" + limitPage + "), or want fewer servers"
		}
	}
	return out
}

// busyWords are how DigitalOcean says that the same request will do later, whatever the status.
var busyWords = []string{
	"processes previous actions", "pending event", "pending action", "is busy", "currently locked",
	"vpc with members", "please try again", "try again later",
}

// byWords tells apart what 400, 403, 409, 412 and 422 mean, which is in the words alone.
func byWords(status int, message string) resource.ErrorKind {
	message = strings.ToLower(message)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(message, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has(busyWords...):
		return resource.Busy
	case has("droplet limit", "exceed your", "limit reached", "limit exceeded"):
		return resource.Quota
	case has("already in use", "already exists", "duplicate", "in use before deleting", "being used by", "default vpc", "must be unique", "already taken"):
		return resource.Conflict
	case status == http.StatusForbidden:
		return resource.Unauthorized
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return resource.Conflict
	}
	return resource.Invalid
}

// words are the API's own, or those of the status where it answered with a web page or nothing.
func words(answer *godo.ErrorResponse) string {
	message := strings.TrimSpace(answer.Message)
	if message == "" || strings.HasPrefix(message, "<") || strings.Contains(strings.ToLower(message), "<html") {
		status := answer.Response.StatusCode
		return fmt.Sprintf("%d %s", status, http.StatusText(status))
	}
	if line, _, more := strings.Cut(message, "\n"); more {
		return strings.TrimSpace(line)
	}
	return message
}

// until reads when a request that was refused for its rate may be sent again.
func until(h http.Header, now time.Time) time.Time {
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds >= 0 {
		return now.Add(time.Duration(seconds) * time.Second)
	}
	if unix, err := strconv.ParseInt(h.Get("Ratelimit-Reset"), 10, 64); err == nil && unix > 0 {
		return time.Unix(unix, 0)
	}
	return now.Add(time.Minute)
}
