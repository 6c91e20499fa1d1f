package digitalocean_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/balancer"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/digitalocean"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/digitalocean/godo"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"golang.org/x/oauth2"
)

// specification is DigitalOcean's own, with what is known to be wrong in it
// put right.
var specification = sync.OnceValues(func() (routers.Router, error) {
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC4122))
	doc, err := openapi3.NewLoader().LoadFromFile("testdata/openapi.json")
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // the paths alone count
	// It is null in practice.
	doc.Components.Schemas["droplet"].Value.Properties["next_backup_window"].Value.Nullable = true
	return gorillamux.NewRouter(doc)
})

// fixture is an API on paper whose every call is compared with the
// specification.
type fixture struct {
	*godo.Client
	faults *cloud.Faults
	url    string
	token  string
}

func newFixture(t *testing.T, settings cloud.Settings) *fixture {
	t.Helper()
	router, err := specification()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	host := machine.NewPaper()
	var api *digitalocean.API
	changed := func() { api.Wake() }
	servers := cloud.NewServers(ctx, host, changed, log)
	balancers := cloud.NewBalancers(ctx, func(ctx context.Context, c balancer.Config, log *slog.Logger) (balancer.Balancer, error) {
		return balancer.NewPaper(ctx, c, host.Running, log)
	}, changed, log)
	addresses, err := cloud.NewLoopback(ctx, 4000)
	if err != nil {
		t.Fatal(err)
	}
	faults := cloud.NewFaults(settings)
	api = digitalocean.New(digitalocean.Options{
		Token: "secret", Faults: faults, Servers: servers, Balancers: balancers, Addresses: addresses,
	})
	var running sync.WaitGroup
	running.Go(func() { api.Run(ctx) })
	server := httptest.NewServer(conform(t, router, api))
	t.Cleanup(func() {
		server.Close()
		cancel()
		running.Wait()
		balancers.Close()
		servers.Wait()
		addresses.Close()
	})
	f := &fixture{faults: faults, url: server.URL, token: "secret"}
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: f.token})
	if f.Client, err = godo.New(oauth2.NewClient(ctx, source), godo.SetBaseURL(server.URL)); err != nil {
		t.Fatal(err)
	}
	return f
}

// conform reports every answer of api, and every request that it accepted,
// that is not as the specification has it.
func conform(t *testing.T, router routers.Router, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorder := httptest.NewRecorder()
		api.ServeHTTP(recorder, r)
		defer func() {
			for k, v := range recorder.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(recorder.Code)
			w.Write(recorder.Body.Bytes())
		}()

		copied := r.Clone(r.Context())
		copied.Body = io.NopCloser(bytes.NewReader(body))
		route, parameters, err := router.FindRoute(copied)
		if err != nil {
			if recorder.Code != http.StatusNotFound {
				t.Errorf("%s %s: %v", r.Method, r.URL, err)
			}
			return
		}
		input := &openapi3filter.RequestValidationInput{
			Request: copied, PathParams: parameters, Route: route,
			Options: &openapi3filter.Options{
				SkipSettingDefaults: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
			},
		}
		if recorder.Code < 300 && !lax(r) {
			if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
				t.Errorf("request %s %s %s: %v", r.Method, r.URL, body, err)
			}
		}
		answer := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: input, Status: recorder.Code, Header: recorder.Header(), Options: input.Options,
		}
		answer.SetBodyBytes(recorder.Body.Bytes())
		if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
			t.Errorf("answer to %s %s: %v\n%s", r.Method, r.URL, err, recorder.Body)
		}
	})
}

// lax tells of the requests in which godo, the official client, does not keep
// to the specification: it sends null for what a project keeps.
func lax(r *http.Request) bool {
	return r.Method == http.MethodPatch && strings.HasPrefix(r.URL.Path, "/v2/projects/")
}

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("never happened: ", what)
		}
	}
}

// refused checks that an error is an answer with this status.
func refused(t *testing.T, what string, err error, status int) {
	t.Helper()
	var e *godo.ErrorResponse
	if !errors.As(err, &e) || e.Response.StatusCode != status {
		t.Errorf("%s: %v, want status %d", what, err, status)
		return
	}
	if status != http.StatusBadGateway && (e.Message == "" || e.RequestID == "") {
		t.Errorf("%s: message %q, request id %q", what, e.Message, e.RequestID)
	}
}

func must[V any](t *testing.T) func(v V, _ *godo.Response, err error) V {
	return func(v V, _ *godo.Response, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
