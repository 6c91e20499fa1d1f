// Package digitalocean is DigitalOcean's API v2 as the lab serves it: what its
// documents say, with the statuses that take time, the limits, and the manners
// that its users report. Servers and load balancers stand behind it by way of
// lab/cloud; this package decides, that one carries out.
package digitalocean

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

// Options are what an API works with. All but Images and Log must be set.
type Options struct {
	Token     string // the one token that is accepted
	Faults    *cloud.Faults
	Servers   *cloud.Servers
	Balancers *cloud.Balancers
	Addresses *cloud.Loopback
	Images    []string // slugs of the public images to offer; nil means all
	Log       *slog.Logger
}

// API serves DigitalOcean's API. It is an http.Handler and safe for concurrent
// use; Run must be running meanwhile.
type API struct {
	Options
	mux    http.ServeMux
	wake   chan struct{}
	images []*image

	hour, burst, keyLists cloud.Window

	mu    sync.Mutex
	state state
	open  map[int]*action // the actions that are in progress
	busy  map[string]int  // how many of them each resource has
	dirty bool            // changed since the last Snapshot
}

// New makes an API over an empty cloud.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{
		Options: o, wake: make(chan struct{}, 1),
		images: offered(o.Images),
		state: state{
			LastID: firstID, UserData: map[string]string{}, Assignments: map[string]assignment{}, Destroyed: map[int]*destroyed{},
		},
		open: map[int]*action{}, busy: map[string]int{}, dirty: true,
	}
	a.routes()
	return a
}

func (a *API) routes() {
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { write(w, notFound()) })
	a.accountRoutes()
	a.catalogRoutes()
	a.imageRoutes()
	a.actionRoutes()
	a.dropletRoutes()
	a.associatedRoutes()
	a.snapshotRoutes()
	a.volumeRoutes()
	a.tagRoutes()
	a.vpcRoutes()
	a.firewallRoutes()
	a.balancerRoutes()
	a.certificateRoutes()
	a.metricRoutes()
	a.domainRoutes()
	a.reservedIPRoutes()
	a.projectRoutes()
}

// call is one request on its way through a handler, which runs while the API
// is locked.
type call struct {
	*http.Request
	now    time.Time
	timing cloud.Timing
}

// reply is what a handler answers when all is well.
type reply struct {
	status int
	body   any
}

// none is the reply without a body that most deletes give.
var none = reply{status: http.StatusNoContent}

// handle adds a handler for a pattern of http.ServeMux.
func (a *API) handle(pattern string, h func(*call) (reply, error)) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, now: time.Now().UTC(), timing: a.Faults.Timing()}
		status, body := a.answer(c, h)
		if len(body) > 0 {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		w.WriteHeader(status)
		w.Write(body)
	})
}

// answer runs a handler and encodes its reply before anything can change it.
func (a *API) answer(c *call, h func(*call) (reply, error)) (int, []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle(c.now)
	r, err := h(c)
	if c.Method != http.MethodGet {
		a.dirty = true
		a.Wake()
	}
	if err != nil {
		return encodeError(err, requestID(c.Request))
	}
	if r.body == nil {
		return r.status, nil
	}
	body, err := json.Marshal(r.body)
	if err != nil {
		return encodeError(err, requestID(c.Request))
	}
	return r.status, body
}

type requestIDKey struct{}

func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newUUID()
	w.Header().Set("X-Request-Id", id)
	r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
	if r.Header.Get("Authorization") != "Bearer "+a.Token {
		write(w, &Error{http.StatusUnauthorized, "unauthorized", "Unable to authenticate you"})
		return
	}
	if err := a.limit(w.Header(), r); err != nil {
		write(w, err)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// limit counts a call against the account's limits and sets the headers that
// tell of them.
func (a *API) limit(h http.Header, r *http.Request) error {
	now, l := time.Now(), a.Faults.Limits()
	tooMany := &Error{http.StatusTooManyRequests, "too_many_requests", "API Rate limit exceeded."}
	window := time.Duration(l.BurstWindow)
	if window == 0 {
		window = time.Minute
	}
	_, burstReset, burstOK := a.burst.Take(now, l.Burst, window)
	if r.Method == http.MethodGet && r.URL.Path == "/v2/account/keys" && burstOK {
		_, burstReset, burstOK = a.keyLists.Take(now, l.KeyLists, time.Minute)
	}
	limit := l.Hour
	if limit == 0 {
		limit = math.MaxInt32
	}
	h.Set("RateLimit-Limit", strconv.Itoa(limit))
	if !burstOK {
		h.Set("RateLimit-Remaining", "0")
		h.Set("RateLimit-Reset", strconv.FormatInt(burstReset.Unix(), 10))
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(burstReset.Sub(now).Seconds()))))
		return tooMany
	}
	left, reset, ok := a.hour.Take(now, limit, time.Hour)
	h.Set("RateLimit-Remaining", strconv.Itoa(left))
	h.Set("RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	if !ok {
		return tooMany
	}
	return nil
}

// Fail writes an error as DigitalOcean would, for the gate; a gateway's errors
// are not JSON.
func Fail(w http.ResponseWriter, status int, message string) {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><body><h1>%d %s</h1>\n%s</body></html>\n", status, http.StatusText(status), message)
		return
	}
	e := &Error{status, errorID(status), message}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	w.Header().Set("X-Request-Id", newUUID())
	write(w, e)
}

// Wake makes Run look again at what is due.
func (a *API) Wake() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
