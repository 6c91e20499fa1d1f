package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/cloudship/cloudship/certificate/pebble"
	"github.com/cloudship/cloudship/resource"
)

// shower is a web server that shows the CA what it asks for.
type shower struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string
	shown   int
	lie     bool // it shows something else
	hidden  int
}

func newShower(t *testing.T) *shower {
	s := &shower{answers: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer, ok := s.answers[r.Host+" "+r.URL.Path]
		if host, _, err := net.SplitHostPort(r.Host); err == nil && !ok {
			answer, ok = s.answers[host+" "+r.URL.Path]
		}
		switch {
		case !ok:
			http.NotFound(w, r)
		case s.lie:
			_, _ = w.Write([]byte("a page of somebody else"))
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shower) Show(_ context.Context, domain, token, answer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown++
	s.answers[domain+" /.well-known/acme-challenge/"+token] = answer
	return nil
}

func (s *shower) Hide(_ context.Context, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.answers {
		if strings.HasSuffix(key, "/"+token) {
			delete(s.answers, key)
			s.hidden++
		}
	}
	return nil
}

func (s *shower) port() int { return s.Listener.Addr().(*net.TCPAddr).Port }

// client asks a CA as the account of a test.
func client(t *testing.T, ca pebble.CA, email string) *Client {
	t.Helper()
	key, err := AccountKey([]byte(strings.Repeat("an account's seed", 3)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(Options{Directory: ca.Directory, CA: ca.CA, Email: email, Account: key, Say: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// asked makes a key and a request for domains.
func asked(t *testing.T, kind string, domains ...string) []byte {
	t.Helper()
	key, err := NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	request, err := Request(key, domains)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestACertificateIsHadFromARealCA(t *testing.T) {
	t.Parallel()
	show := newShower(t)
	ca := pebble.Start(t, "127.0.0.1", show.port(), 90)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Root) {
		t.Fatal("the CA has no root")
	}
	domains := []string{"fantasyreality.example", "www.fantasyreality.example"}
	for _, kind := range []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048"} {
		c := client(t, ca, kind+"@fantasyreality.example") // one account, whose address of mail changes
		order, err := c.Prove(t.Context(), domains, show)
		if err != nil {
			t.Fatal(err)
		}
		request := asked(t, kind, domains...)
		first, err := c.Issue(t.Context(), order, request)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ParseChain(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := chain.Answers(request, domains, time.Now()); err != nil {
			t.Error(err)
		}
		if err := chain.Answers(asked(t, kind, domains...), domains, time.Now()); err == nil {
			t.Error("it answers another key's request")
		}
		if got := KindOfKey(chain.Leaf.PublicKey); got != kind {
			t.Errorf("the key is %s", got)
		}
		intermediates := x509.NewCertPool()
		intermediates.AppendCertsFromPEM(first)
		for _, domain := range domains {
			if _, err := chain.Leaf.Verify(x509.VerifyOptions{DNSName: domain, Roots: roots, Intermediates: intermediates}); err != nil {
				t.Error(err)
			}
		}
		// Killed before it was kept: another process asks for the same order.
		again, err := client(t, ca, "").Issue(t.Context(), order, request)
		if err != nil || string(again) != string(first) {
			t.Errorf("issued again it is another, or: %v", err)
		}
	}
	if show.shown != 6 || show.hidden != 6 {
		t.Errorf("%d answers were shown and %d taken away", show.shown, show.hidden)
	}
}

func TestTheCAsRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	show := newShower(t)
	ca := pebble.Start(t, "127.0.0.1", show.port(), 90)
	c := client(t, ca, "")
	prove := func(domains ...string) error {
		_, err := c.Prove(t.Context(), domains, show)
		return err
	}
	show.lie = true
	for name, tt := range map[string]struct {
		err  error
		says []string
		hint string
	}{
		"another server answers": {prove("fantasyreality.example"), []string{"prove fantasyreality.example at 127.0.0.1", "a page of somebody else", "unauthorized"}, "something else answered the CA"},
		"a name that is nowhere": {prove("nowhere.example"), []string{"prove nowhere.example", "nowhere.example", "urn:ietf:params:acme:error:"}, ""},
		"a name that is refused": {prove("denied.example"), []string{"order at", "denied.example", "rejectedIdentifier"}, "no certificate for that name"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range tt.says {
				if !strings.Contains(tt.err.Error(), want) {
					t.Errorf("it does not say %q: %v", want, tt.err)
				}
			}
			if !strings.Contains(resource.HintOf(tt.err), tt.hint) {
				t.Errorf("its hint is %q", resource.HintOf(tt.err))
			}
		})
	}
}

func TestAnOrderOfNoUseIsStale(t *testing.T) {
	t.Parallel()
	show := newShower(t)
	ca := pebble.Start(t, "127.0.0.1", show.port(), 90)
	c := client(t, ca, "")
	show.lie = true
	if _, err := c.Prove(t.Context(), []string{"fantasyreality.example"}, show); err == nil {
		t.Fatal("it is believed")
	}
	base := strings.TrimSuffix(ca.Directory, "/dir")
	if _, err := c.Issue(t.Context(), base+"/my-order/unknown", asked(t, "ecdsa-p256", "fantasyreality.example")); !errors.Is(err, ErrStale) {
		t.Errorf("an order that the CA does not know: %v", err)
	}
	order, err := c.acme.AuthorizeOrder(t.Context(), acme.DomainIDs("fantasyreality.example"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Issue(t.Context(), order.URI, asked(t, "ecdsa-p256", "fantasyreality.example")); !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "pending") {
		t.Errorf("an order that nobody has proven: %v", err)
	}
}

func TestACAThatNobodyVouchesForIsNotBelieved(t *testing.T) {
	t.Parallel()
	ca := pebble.Start(t, "127.0.0.1", 1, 90)
	ca.CA = ""
	_, err := client(t, ca, "").Prove(t.Context(), []string{"a.example"}, newShower(t))
	if err == nil || !strings.Contains(resource.HintOf(err), `ca = file(`) || resource.KindOf(err) != resource.Failed {
		t.Errorf("%v, hint %q", err, resource.HintOf(err))
	}
}
