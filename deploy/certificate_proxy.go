package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// proxyPatience is how long a proxy may take to show what it was given: it may be reading its
// configuration.
const proxyPatience = 15 * time.Second

// patiently tries until it is done, the context ends or the proxy had its time. The error is that of
// the last try that came to its end.
func (w *certifying) patiently(ctx context.Context, try func(context.Context) error) (last error) {
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

// shows looks whether the proxy answers a challenge, from inside the server.
func (w *certifying) shows(ctx context.Context, domain, token, answer string) error {
	path := "/.well-known/acme-challenge/" + token
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return w.dial(ctx, w.spec.HTTPPort)
		}},
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	err := w.patiently(ctx, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+domain+path, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(response.Body, 1024))
		if err != nil {
			return err
		}
		if response.StatusCode == http.StatusOK && string(bytes.TrimSpace(body)) == answer {
			return nil
		}
		return fmt.Errorf("it answers %s%s: %.100q", response.Status, whither(response), body)
	})
	if err == nil {
		return nil
	}
	return &resource.Error{
		Kind: resource.Failed, Op: fmt.Sprintf("show the challenge of http://%s%s at port %d of %s", domain, path, w.spec.HTTPPort, w.spec.Server), Cause: err,
		Hint: fmt.Sprintf("the proxy must serve the server's folder %s below /.well-known/acme-challenge/, before any redirect; the CA was not asked", w.spec.Challenges),
	}
}

func whither(r *http.Response) string {
	if to := r.Header.Get("Location"); to != "" {
		return " to " + to
	}
	return ""
}

// served looks whether the proxy answers TLS with a certificate, for every domain. Where port is 0 it
// is not looked at.
func (w *certifying) served(ctx context.Context, fingerprint string) error {
	if w.spec.HTTPSPort == 0 {
		return nil
	}
	for _, domain := range w.spec.Domains {
		err := w.patiently(ctx, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			got, err := w.handshake(ctx, domain)
			if err == nil && got != fingerprint {
				err = fmt.Errorf("it answers with another certificate (SHA-256 %s)", got)
			}
			return err
		})
		var forbidden *remote.ForwardError
		switch {
		case err == nil:
		case errors.As(err, &forbidden) && forbidden.Forbidden:
			w.say("what the proxy serves cannot be looked at: " + err.Error())
			return nil
		default:
			return &resource.Error{
				Kind: resource.Failed, Op: fmt.Sprintf("look at TLS of %s at port %d of %s", domain, w.spec.HTTPSPort, w.spec.Server), Cause: err,
				Hint: fmt.Sprintf("service %s must answer there with %s/%s/fullchain.pem once it was told: see docs/certificates.md", w.spec.Service, w.spec.Path, w.mark.Address.Name),
			}
		}
	}
	return nil
}

// handshake gives the fingerprint of the certificate that the proxy answers a name with.
func (w *certifying) handshake(ctx context.Context, domain string) (string, error) {
	conn, err := w.dial(ctx, w.spec.HTTPSPort)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	// It is compared with the very certificate that was put there, rather than with who vouches for
	// it: the CA may be one of tests, or the certificate be on its last day.
	client := tls.Client(conn, &tls.Config{ServerName: domain, InsecureSkipVerify: true})
	if err := client.HandshakeContext(ctx); err != nil {
		return "", err
	}
	sum := sha256.Sum256(client.ConnectionState().PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:]), nil
}

// tell makes the proxy read its certificates anew: by its hook, or by SIGHUP.
func (d *certificates) tell(ctx context.Context, host *remote.Host, server resource.Found, spec *resource.CertificateSpec, secrets map[string]string, say func(string)) error {
	r, err := d.hosts.standing(ctx, host, server, secrets, say)
	if err != nil {
		return err
	}
	if r == nil {
		return resource.WithHint(fmt.Errorf("no release stands on %s", spec.Server), "apply the release first: cloudship apply")
	}
	defer func() { _ = r.engine.Close() }()
	return r.tellOfCertificate(ctx, spec)
}

func (r *rollout) tellOfCertificate(ctx context.Context, spec *resource.CertificateSpec) error {
	if len(r.live[spec.Service]) == 0 {
		return fmt.Errorf("no container of service %s runs on %s", spec.Service, spec.Server)
	}
	if spec.Hook != "" {
		_, err := r.runNamed(ctx, spec.Service, spec.Hook, nil)
		return err
	}
	for _, one := range r.live[spec.Service] {
		if err := r.afterHook(ctx, one.id, template.Hook{Reload: "SIGHUP"}); err != nil {
			return fmt.Errorf("tell %s: %s", spec.Service, strings.TrimSuffix(err.Error(), " after the hook"))
		}
	}
	return nil
}
