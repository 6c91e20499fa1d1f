package certificate

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// Options say which CA is asked, and as whom.
type Options struct {
	Directory string        // URL of the CA's ACME directory; https
	CA        string        // PEM of who vouches for the directory's own TLS, beside the system's
	Email     string        // for the account; may be empty
	Account   crypto.Signer // the account's key: ECDSA
	Say       func(string)  // what goes on, a line at a time; may be nil
}

// Client asks one CA as one account. Its methods may be called concurrently.
type Client struct {
	options Options
	acme    *acme.Client

	mu      sync.Mutex
	entered bool // the account is known
}

// A Prover shows the CA what it asks for: at http://DOMAIN/.well-known/acme-challenge/TOKEN the
// answer.
type Prover interface {
	// Show makes the answer readable there, and makes sure that it is: a CA that finds nothing counts
	// that against the account. It may be repeated.
	Show(ctx context.Context, domain, token, answer string) error
	// Hide takes the token away again.
	Hide(ctx context.Context, token string) error
}

// patience is how long one certificate may take, from the order to the chain: CAs look from several
// places, one after the other.
const patience = 5 * time.Minute

// ErrStale says that an order cannot be gone on with: it is unknown, failed or was never proven.
var ErrStale = errors.New("the order is of no use any more")

// Open makes a client. Nothing is asked yet.
func Open(o Options) (*Client, error) {
	if u, err := url.Parse(o.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no ACME directory: want an https URL", o.Directory)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.ResponseHeaderTimeout = 30 * time.Second
	if o.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(o.CA)) {
			return nil, errors.New("who vouches for the ACME directory: there is no certificate in it")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return &Client{options: o, acme: &acme.Client{
		Key: o.Account, DirectoryURL: o.Directory, UserAgent: "cloudship", RetryBackoff: backoff,
		HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
	}}, nil
}

// Close ends the connections.
func (c *Client) Close() { c.acme.HTTPClient.CloseIdleConnections() }

// backoff is how long a request waits for its next try: not at all where the CA wants less of us, a
// few times where it is out of order or a nonce was too old.
func backoff(n int, _ *http.Request, answer *http.Response) time.Duration {
	switch {
	case answer.StatusCode == http.StatusTooManyRequests, n > 6:
		return -1
	case answer.StatusCode == http.StatusBadRequest: // a nonce
		return 50 * time.Millisecond
	case n > 4:
		return -1
	}
	return time.Second << n
}

// Prove makes an order for the domains and has the CA look at what the prover shows. It answers the
// order's URL, for Issue. What the CA knows already is not proven again. On failure, what is left
// open at the CA is closed.
func (c *Client) Prove(ctx context.Context, domains []string, p Prover) (order string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the CA did not decide within %s", patience))
	defer cancel()
	if err := c.enter(ctx); err != nil {
		return "", err
	}
	made, err := c.acme.AuthorizeOrder(ctx, acme.DomainIDs(domains...))
	if err != nil {
		return "", c.explain("order", orCause(ctx, err))
	}
	if made.Status == acme.StatusPending {
		if err := c.prove(ctx, made, p); err != nil {
			return "", err
		}
	}
	if _, err := c.acme.WaitOrder(ctx, made.URI); err != nil {
		return "", c.explain("order", orCause(ctx, err))
	}
	return made.URI, nil
}

// enter makes the account, or finds it by its key.
func (c *Client) enter(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entered {
		return nil
	}
	if err := c.register(ctx); err != nil {
		return c.explain("open the account", orCause(ctx, err))
	}
	c.entered = true
	return nil
}

func (c *Client) register(ctx context.Context) error {
	account := &acme.Account{}
	if c.options.Email != "" {
		account.Contact = []string{"mailto:" + c.options.Email}
	}
	_, err := c.acme.Register(ctx, account, acme.AcceptTOS)
	if !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return err
	}
	known, err := c.acme.GetReg(ctx, "")
	if err != nil || len(account.Contact) == 0 || slices.Equal(known.Contact, account.Contact) {
		return err
	}
	known.Contact = account.Contact
	_, err = c.acme.UpdateReg(ctx, known)
	return err
}

// prove has the CA look, at every domain that it does not believe yet.
func (c *Client) prove(ctx context.Context, order *acme.Order, p Prover) (err error) {
	var open []*acme.Authorization
	defer func() {
		if err != nil {
			c.giveUp(ctx, open)
		}
	}()
	for _, at := range order.AuthzURLs {
		one, err := c.acme.GetAuthorization(ctx, at)
		if err != nil {
			return c.explain("order", orCause(ctx, err))
		}
		if one.Status != acme.StatusValid {
			open = append(open, one)
		}
	}
	var shown []string
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		for _, token := range shown {
			if err := p.Hide(tidy, token); err != nil {
				c.options.Say("taking a challenge away: " + err.Error())
			}
		}
	}()
	questions := make([]*acme.Challenge, len(open))
	for i, one := range open {
		if questions[i], err = question(one); err != nil {
			return err
		}
		answer, err := c.acme.HTTP01ChallengeResponse(questions[i].Token)
		if err != nil {
			return fmt.Errorf("answer the CA: %w", err)
		}
		shown = append(shown, questions[i].Token)
		if err := p.Show(ctx, one.Identifier.Value, questions[i].Token, answer); err != nil {
			return err
		}
	}
	for i, one := range open {
		c.options.Say(one.Identifier.Value + ": the CA looks")
		if questions[i].Status == acme.StatusPending { // else an earlier run has told it
			if _, err := c.acme.Accept(ctx, questions[i]); err != nil {
				return c.explain("prove "+one.Identifier.Value, orCause(ctx, err))
			}
		}
	}
	var errs []error
	for _, one := range open {
		if _, err := c.acme.WaitAuthorization(ctx, one.URI); err != nil {
			errs = append(errs, c.explain("prove "+one.Identifier.Value, orCause(ctx, err)))
		}
	}
	return errors.Join(errs...)
}

// token is what a token may be: it becomes the name of a file.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{16,256}$`)

// question is the challenge of an authorization that is answered by HTTP.
func question(a *acme.Authorization) (*acme.Challenge, error) {
	var offered []string
	for _, one := range a.Challenges {
		if one.Type == "http-01" {
			if !token.MatchString(one.Token) {
				return nil, fmt.Errorf("prove %s: the CA's token is none: %.40q", a.Identifier.Value, one.Token)
			}
			return one, nil
		}
		offered = append(offered, one.Type)
	}
	return nil, fmt.Errorf("prove %s: the CA does not take HTTP-01 for it, but %q", a.Identifier.Value, offered)
}

// giveUp closes what an order has left open, so that it does not count against the account.
func (c *Client) giveUp(ctx context.Context, open []*acme.Authorization) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	for _, one := range open {
		now, err := c.acme.GetAuthorization(ctx, one.URI)
		if err == nil && now.Status == acme.StatusPending {
			_ = c.acme.RevokeAuthorization(ctx, one.URI) // it ends by itself in some days
		}
	}
}

// Issue sends the request for an order that was proven, and answers the chain as PEM. It may be
// repeated with the same request: what was issued already is fetched. An order that cannot be gone on
// with is ErrStale.
func (c *Client) Issue(ctx context.Context, order string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the CA did not answer within %s", patience))
	defer cancel()
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	now, err := c.acme.GetOrder(ctx, order)
	var refused *acme.Error
	switch {
	case errors.As(err, &refused) && refused.StatusCode >= 400 && refused.StatusCode < 500 && refused.StatusCode != http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: %s", ErrStale, refused.Detail)
	case err != nil:
		return nil, c.explain("look at the order", orCause(ctx, err))
	}
	if now.Status == acme.StatusProcessing {
		if now, err = c.acme.WaitOrder(ctx, order); err != nil {
			return nil, c.explain("issue", orCause(ctx, err))
		}
	}
	var ders [][]byte
	switch now.Status {
	case acme.StatusReady:
		ders, _, err = c.acme.CreateCertFromOrder(ctx, now, request, true)
	case acme.StatusValid:
		ders, err = c.acme.FetchCert(ctx, now.CertURL, true)
	default:
		return nil, fmt.Errorf("%w: it is %s", ErrStale, now.Status)
	}
	if err != nil {
		return nil, c.explain("issue", orCause(ctx, err))
	}
	return encode(ders), nil
}

// orCause is why the context ended, where that is why something went wrong.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
