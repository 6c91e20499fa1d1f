package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/cloudship/cloudship/resource"
)

// soon is how long a limit of the CA is waited for within a run.
const soon = 2 * time.Minute

// explain gives an error of the CA the words of this program around its own: what was being done,
// what kind of failure it is, and what to do.
func (c *Client) explain(op string, err error) error {
	host := c.options.Directory
	if u, errURL := url.Parse(host); errURL == nil {
		host = u.Host
	}
	e := &resource.Error{Kind: resource.Failed, Op: op + " at " + host, Cause: err}
	var (
		problem *acme.Error
		proof   *acme.AuthorizationError
		order   *acme.OrderError
		unknown x509.UnknownAuthorityError
		network *url.Error
		already *resource.Error
	)
	switch {
	case errors.As(err, &already):
		return err
	case errors.As(err, &proof):
		explainProof(e, proof)
	case errors.As(err, &order) && order.Problem != nil:
		explainProblem(e, order.Problem, time.Now())
	case errors.As(err, &problem):
		explainProblem(e, problem, time.Now())
	case errors.As(err, &unknown):
		e.Message = unknown.Error()
		e.Hint = `name who vouches for a CA of your own: ca = file("ca.pem")`
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &network):
		e.Kind, e.Message = resource.Unavailable, network.Err.Error()
		e.Hint = "the CA is asked from here, so this machine must reach " + host
	}
	return e
}

// explainProblem puts a problem document (RFC 7807) into an error.
func explainProblem(e *resource.Error, p *acme.Error, now time.Time) {
	e.Message = words(p)
	kind := strings.ToLower(p.ProblemType[strings.LastIndexByte(p.ProblemType, ':')+1:])
	switch {
	case kind == "ratelimited" || p.StatusCode == http.StatusTooManyRequests:
		limited(e, p, now)
	case kind == "useractionrequired":
		e.Kind, e.Hint = resource.Unauthorized, "the CA wants something of you: "+p.Instance
	case kind == "externalaccountrequired":
		e.Kind, e.Hint = resource.Unauthorized, "this CA wants accounts that were made on its own pages, which cloudship does not do: take another directory"
	case kind == "rejectedidentifier" || kind == "unsupportedidentifier":
		e.Kind, e.Field, e.Hint = resource.Invalid, "domains", "this CA gives no certificate for that name"
	case kind == "caa":
		e.Hint = "a CAA record in the DNS keeps this CA out: let it in there, or take another directory"
	case kind == "invalidcontact" || kind == "unsupportedcontact":
		e.Kind, e.Field = resource.Invalid, "email"
	case p.StatusCode == http.StatusUnauthorized || p.StatusCode == http.StatusForbidden:
		e.Kind = resource.Unauthorized
	case p.StatusCode >= 500:
		e.Kind = resource.Unavailable
	}
}

// limited says until when the CA wants to hear nothing. What ends soon is waited for, all else is for
// another day.
func limited(e *resource.Error, p *acme.Error, now time.Time) {
	e.Hint = "limits count what was ordered, not what is kept: an apply later goes on; try out against the CA's staging directory"
	wait, _ := acme.RateLimit(p)
	if wait <= 0 {
		return
	}
	until := now.Add(wait).UTC()
	if wait <= soon {
		e.Kind, e.Until = resource.RateLimited, until
		return
	}
	e.Message = fmt.Sprintf("%s (until %s)", e.Message, until.Format(time.RFC3339))
}

// explainProof says why the CA does not believe in a domain.
func explainProof(e *resource.Error, proof *acme.AuthorizationError) {
	var all []string
	for _, err := range proof.Errors {
		var problem *acme.Error
		if errors.As(err, &problem) {
			all = append(all, words(problem))
			switch strings.ToLower(problem.ProblemType[strings.LastIndexByte(problem.ProblemType, ':')+1:]) {
			case "dns":
				e.Hint = "the CA looks the name up from outside: it must lead to this server there"
			case "connection", "tls":
				e.Hint = "the CA comes to port 80 from outside: a firewall may keep it out"
			case "unauthorized", "incorrectresponse":
				e.Hint = "something else answered the CA: the name may lead to another server, or the AAAA record to another than the A record"
			}
			continue
		}
		all = append(all, err.Error())
	}
	if e.Message = strings.Join(all, "; "); e.Message == "" {
		e.Message = "the CA does not believe it, and does not say why"
	}
}

// words are a problem document in one line: the CA's own words first.
func words(p *acme.Error) string {
	text := p.Detail
	if text == "" {
		text = http.StatusText(p.StatusCode)
	}
	if p.ProblemType != "" {
		text += " [" + p.ProblemType + "]"
	}
	for _, sub := range p.Subproblems {
		name := ""
		if sub.Identifier != nil {
			name = sub.Identifier.Value + ": "
		}
		text += "; " + name + sub.Detail
	}
	return printable(text)
}
