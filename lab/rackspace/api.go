// Package rackspace is Rackspace's classic public cloud as the lab serves it:
// Identity v2.0, Cloud Servers (Nova v2) and Cloud Load Balancers v1.0, with
// the statuses that take time, the limits, and the manners that their documents
// and users report. Servers and load balancers stand behind it by way of
// lab/cloud; this package decides, that one carries out.
//
// Everything is served under one prefix, so that other clouds have room beside
// it: PREFIX/identity/v2.0, PREFIX/REGION/servers/v2/TENANT and
// PREFIX/REGION/loadbalancers/v1.0/TENANT. The catalogue that comes with a
// token names these places, as the real one does.
package rackspace

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

// Options are what an API works with. All but Images and Log must be set.
type Options struct {
	Prefix    string // before every path, such as "/rackspace"
	Username  string // the one user
	APIKey    string // the key that is accepted; as a password it is good, too
	Faults    *cloud.Faults
	Servers   *cloud.Servers
	Balancers *cloud.Balancers
	Addresses *cloud.Loopback
	Images    []string // slugs of the machines to offer images of; nil means all
	Log       *slog.Logger
}

// Tenant is the number of the lab's one account.
const Tenant = "864207"

// API serves Rackspace's APIs. It is an http.Handler and safe for concurrent
// use; Run must be running meanwhile.
type API struct {
	Options
	mux    http.ServeMux
	wake   chan struct{}
	images []image
	rates  rates

	mu    sync.Mutex
	state state
	dirty bool // changed since the last Snapshot
}

// New makes an API over an empty cloud.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{
		Options: o, wake: make(chan struct{}, 1), images: offered(o.Images), dirty: true,
		state: state{LastID: firstID, Tokens: map[string]token{}, UserData: map[string]string{}},
	}
	a.identityRoutes()
	a.serverRoutes()
	a.actionRoutes()
	a.metadataRoutes()
	a.keypairRoutes()
	a.catalogRoutes()
	a.balancerRoutes()
	a.nodeRoutes()
	a.featureRoutes()
	a.sslRoutes()
	a.itemRoutes()
	a.usageRoutes()
	return a
}

// service is one of Rackspace's: each has its own manner to say no.
type service int

const (
	identity service = iota
	compute
	loadBalancers
)

// call is one request on its way through a handler, which runs while the API
// is locked.
type call struct {
	*http.Request
	service service
	region  string // upper case
	now     time.Time
	timing  cloud.Timing
}

// reply is what a handler answers when all is well.
type reply struct {
	status int
	body   any // nil: none
	header map[string]string
}

// accepted is the reply of most changes to a load balancer.
var accepted = reply{status: http.StatusAccepted}

// none is the reply without a body that deletes give.
var none = reply{status: http.StatusNoContent}

// handle adds a handler for "METHOD /path" of a service.
func (a *API) handle(s service, pattern string, h func(*call) (reply, error)) {
	method, path, _ := strings.Cut(pattern, " ")
	base := map[service]string{
		identity: "/identity/v2.0", compute: "/{region}/servers/v2/{tenant}", loadBalancers: "/{region}/loadbalancers/v1.0/{tenant}",
	}[s]
	a.mux.HandleFunc(method+" "+a.Prefix+base+path, func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, service: s, region: strings.ToUpper(r.PathValue("region")), now: time.Now().UTC(), timing: a.Faults.Timing()}
		a.serve(w, c, h)
	})
}

func (a *API) serve(w http.ResponseWriter, c *call, h func(*call) (reply, error)) {
	if c.service == compute {
		w.Header().Set("X-Compute-Request-Id", "req-"+newUUID())
	}
	if err := a.limit(c); err != nil {
		write(w, c.service, err)
		return
	}
	header, status, body := a.answer(c, h)
	for name, value := range header {
		w.Header().Set(name, value)
	}
	if len(body) > 0 {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	w.Write(body)
}

// answer runs a handler and encodes its reply before anything can change it.
func (a *API) answer(c *call, h func(*call) (reply, error)) (header map[string]string, status int, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle(c.now)
	r, err := a.guarded(c, h)
	if c.Method != http.MethodGet {
		a.dirty = true
		a.Wake()
	}
	if err == nil && r.body != nil {
		body, err = json.Marshal(r.body)
	}
	if err != nil {
		return encodeError(c.service, err)
	}
	return r.header, r.status, body
}

// guarded runs a handler for who may call it.
func (a *API) guarded(c *call, h func(*call) (reply, error)) (reply, error) {
	if c.service == identity {
		return h(c)
	}
	if !a.authentic(c) {
		return reply{}, &Error{Status: http.StatusUnauthorized, Message: "No valid token provided. Please use the 'X-Auth-Token' header with a valid token."}
	}
	if c.PathValue("tenant") != Tenant || !servesRegion(c.region) {
		return reply{}, &Error{Status: http.StatusNotFound, Message: "The resource could not be found."}
	}
	return h(c)
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := a.mux.Handler(r); pattern == "" {
		s := compute
		if strings.Contains(r.URL.Path, "/loadbalancers/v1.0/") {
			s = loadBalancers
		}
		write(w, s, &Error{Status: http.StatusNotFound, Message: "The resource could not be found."})
		return
	}
	a.mux.ServeHTTP(w, r)
}

// Run lets things happen in their time until ctx ends.
func (a *API) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.wake:
		}
		a.mu.Lock()
		now := time.Now().UTC()
		a.settle(now)
		next := a.due(now)
		a.mu.Unlock()
		timer.Reset(next)
	}
}

// Wake makes Run look again at what is due.
func (a *API) Wake() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
