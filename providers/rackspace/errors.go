package rackspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

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

// fault makes an error of gophercloud, of the network or of the API one of resource's kinds. op
// says what was being done, and address to which resource.
func fault(op string, address resource.Address, err error, e effect) error {
	if err == nil {
		return nil
	}
	if ours := (*resource.Error)(nil); errors.As(err, &ours) {
		return err
	}
	out := &resource.Error{Op: op, Address: address, Cause: err}
	var answer gophercloud.ErrUnexpectedResponseCode
	var login *gophercloud.ErrUnableToReauthenticate
	switch {
	case errors.As(err, &login): // the request itself was refused, so that it did nothing
		if gophercloud.ResponseCodeIs(login.ErrReauth, http.StatusUnauthorized) {
			out.Kind, out.Message, out.Hint = resource.Unauthorized, "the token has expired, and the credentials are refused now", "check RACKSPACE_USERNAME and RACKSPACE_API_KEY"
			return out
		}
		out.Kind, out.Message = resource.Unavailable, "the token has expired, and there is no new one: "+rootOf(login.ErrReauth).Error()
		return out
	case errors.As(err, &answer):
		return refusal(out, answer, e)
	case unsendable(err):
		out.Kind = resource.Invalid
	case plugins.Unsent(err), unreached(err):
		out.Kind = resource.Unavailable
	default: // a connection that broke, a call that was given up, an answer that could not be read
		out.Kind = e.lost()
	}
	if out.Kind == resource.Ambiguous {
		out.Message = "no answer from Rackspace: " + rootOf(err).Error()
	}
	return out
}

// unsendable reports whether gophercloud refused to make up a request.
func unsendable(err error) bool {
	var missing gophercloud.ErrMissingInput
	var invalid gophercloud.ErrInvalidInput
	return errors.As(err, &missing) || errors.As(err, &invalid)
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
func refusal(out *resource.Error, answer gophercloud.ErrUnexpectedResponseCode, e effect) error {
	status := answer.Actual
	out.Message, out.RequestID = wordsOf(answer), answer.ResponseHeader.Get("X-Compute-Request-Id")
	said := strings.ToLower(out.Message)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case status == http.StatusUnauthorized:
		out.Kind, out.Hint = resource.Unauthorized, "check RACKSPACE_USERNAME and RACKSPACE_API_KEY"
	case status == http.StatusTooManyRequests:
		out.Kind, out.Until = resource.RateLimited, until(answer.ResponseHeader, time.Now())
	case has("deleted and considered immutable", "marked as deleted", "could not be found") && e != once, status == http.StatusGone:
		out.Kind = resource.Gone
	case has("considered immutable", "is not active", "are immutable", "duplicate nodes", "buildinprogress"):
		out.Kind = resource.Busy
	case status >= 500:
		out.Kind = resource.Unavailable
		if e == once { // Nova says so of servers that it builds all the same
			out.Kind = resource.Ambiguous
		}
	case status == http.StatusNotFound:
		out.Kind = resource.Gone
		if e == once { // what it was to be made from is not there
			out.Kind = resource.Invalid
		}
	case status == http.StatusRequestEntityTooLarge, has("quota exceeded", "limit reached", "must not exceed"):
		out.Kind, out.Hint = resource.Quota, "ask Rackspace for a higher limit, or want fewer"
	case status == http.StatusConflict:
		out.Kind = resource.Conflict
	case status == http.StatusForbidden:
		out.Kind, out.Hint = resource.Unauthorized, "the user lacks a role for this, or the account's network policy forbids it"
		if has("policy doesn't allow") {
			out.Kind, out.Hint = resource.Invalid, "choose another size: this one has no disk to start an image from"
		}
	default:
		out.Kind = resource.Invalid
	}
	return out
}

// wordsOf are the API's own words, whatever form they come in: under a single key, flat, as a list
// of what is wrong, as a text.
func wordsOf(answer gophercloud.ErrUnexpectedResponseCode) string {
	if message := messageIn(answer.Body); message != "" {
		return message
	}
	text := strings.TrimSpace(string(answer.Body))
	if text == "" || strings.HasPrefix(text, "<") || strings.HasPrefix(text, "{") {
		return fmt.Sprintf("%d %s", answer.Actual, http.StatusText(answer.Actual))
	}
	const longest = 300
	if line, _, _ := strings.Cut(text, "\n\n"); len(line) < longest {
		text = line
	}
	return strings.Join(strings.Fields(text[:min(len(text), longest)]), " ")
}

// messageIn reads the message of a JSON body, or nothing.
func messageIn(body []byte) string {
	var flat struct {
		Message json.RawMessage `json:"message"`
		Invalid struct {
			Messages []string `json:"messages"`
		} `json:"validationErrors"`
	}
	if json.Unmarshal(body, &flat) != nil {
		return ""
	}
	if len(flat.Invalid.Messages) > 0 {
		return strings.Join(flat.Invalid.Messages, "; ")
	}
	if len(flat.Message) > 0 {
		return textOf(flat.Message)
	}
	var named map[string]struct {
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(body, &named) != nil {
		return ""
	}
	for name, inner := range named {
		if text := textOf(inner.Message); text != "" {
			if name == "buildInProgress" {
				return "buildInProgress: " + text
			}
			return text
		}
	}
	return ""
}

// textOf reads a text, or a list of them.
func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.TrimSpace(text)
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, "; ")
	}
	return ""
}

// until reads when a request that was refused for its rate may be sent again.
func until(h http.Header, now time.Time) time.Time {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return now.Add(time.Duration(seconds) * time.Second)
	}
	for _, layout := range []string{http.TimeFormat, time.RFC3339} {
		if at, err := time.Parse(layout, value); err == nil {
			return at
		}
	}
	return now.Add(time.Minute)
}
