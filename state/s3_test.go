package state_test

import (
	"context"
	"crypto/md5"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudship/cloudship/state"
	"github.com/cloudship/cloudship/state/storetest"
)

// objects is as much of an S3 server as a store needs, with faults.
type objects struct {
	mu      sync.Mutex
	objects map[string]object // by bucket and key

	careless bool                                              // passes over conditions
	fault    func(w http.ResponseWriter, r *http.Request) bool // answers itself, before any effect
	lose     func(r *http.Request) bool                        // breaks the connection, after the effect
}

type object struct {
	data     []byte
	etag     string
	modified time.Time
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || o.fault != nil && o.fault(w, r) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lose != nil && o.lose(r) {
		o.serve(httptest.NewRecorder(), r, body)
		panic(http.ErrAbortHandler)
	}
	o.serve(w, r, body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants</Message></Error>", code)
}

func (o *objects) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	have, exists := o.objects[key]
	switch {
	case r.URL.Query().Get("list-type") == "2":
		o.list(w, strings.TrimSuffix(key, "/"), r.URL.Query())
	case r.Method == http.MethodPut:
		ifMatch, ifNone := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
		switch {
		case o.careless:
		case ifNone == "*" && exists, ifMatch != "" && exists && ifMatch != have.etag:
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		case ifMatch != "" && !exists:
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		etag := fmt.Sprintf(`"%x"`, md5.Sum(body))
		o.objects[key] = object{body, etag, time.Now()}
		w.Header().Set("ETag", etag)
	case r.Method == http.MethodGet && exists:
		w.Header().Set("ETag", have.etag)
		w.Header().Set("Last-Modified", have.modified.UTC().Format(http.TimeFormat))
		w.Write(have.data)
	case r.Method == http.MethodGet:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case r.Method == http.MethodDelete:
		delete(o.objects, key)
		w.WriteHeader(http.StatusNoContent)
	}
}

// list answers in pages of three.
func (o *objects) list(w http.ResponseWriter, bucket string, query url.Values) {
	type content struct{ Key string }
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	after := max(query.Get("start-after"), query.Get("continuation-token"))
	for _, path := range slices.Sorted(maps.Keys(o.objects)) {
		key := strings.TrimPrefix(path, bucket+"/")
		if !strings.HasPrefix(key, query.Get("prefix")) || key <= after {
			continue
		}
		if len(page.Contents) == 3 {
			page.IsTruncated, page.NextContinuationToken = true, page.Contents[2].Key
			break
		}
		page.Contents = append(page.Contents, content{key})
	}
	if err := xml.NewEncoder(w).Encode(page); err != nil {
		return
	}
}

// serveObjects starts the server and returns the place of a stack on it.
func serveObjects(t *testing.T, o *objects) string {
	t.Helper()
	o.objects = map[string]object{}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "tester")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing-secret")
	return "s3://states/shop?endpoint=" + url.QueryEscape(server.URL)
}

func TestBucketOnAPaperServer(t *testing.T) {
	place := serveObjects(t, &objects{})
	var places atomic.Int32
	storetest.Quick(t, func(t *testing.T) storetest.Place {
		return storetest.URL(t, strings.Replace(place, "shop", fmt.Sprintf("team/shop-%d", places.Add(1)), 1))
	})
}

// TestBucketThatLosesAnswers breaks every second connection after the effect,
// while the client's own retries are at work.
func TestBucketThatLosesAnswers(t *testing.T) {
	var puts atomic.Int32
	place := serveObjects(t, &objects{lose: func(r *http.Request) bool {
		return r.Method == http.MethodPut && puts.Add(1)%2 == 0
	}})
	store := storetest.URL(t, place).Open()
	s, err := state.Begin(t.Context(), store, state.Options{Command: "apply"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		content := state.Content{Body: fmt.Appendf(nil, `{"n":%d}`, n)}
		if err := s.Commit(t.Context(), state.Fixed(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	history, err := state.ReadHistory(t.Context(), store)
	if err != nil || len(history.Findings) > 0 || len(history.Snapshots) != 4 {
		t.Errorf("have %+v, %v", history, err)
	}
}

func TestBucketWithoutConditionsIsRefused(t *testing.T) {
	place := serveObjects(t, &objects{careless: true})
	_, err := state.Begin(t.Context(), storetest.URL(t, place).Open(), state.Options{Command: "apply"})
	if !errors.Is(err, state.ErrUnfit) || !strings.Contains(err.Error(), "s3://states/shop") {
		t.Errorf("the error is %v", err)
	}
}

func TestBucketAnswersHaveNames(t *testing.T) {
	answers := &objects{}
	place := serveObjects(t, answers)
	answer := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, status, code)
			return true
		}
	}
	tests := []struct {
		fault  func(http.ResponseWriter, *http.Request) bool
		target error
	}{
		{answer(http.StatusForbidden, "AccessDenied"), fs.ErrPermission},
		{answer(http.StatusInsufficientStorage, "XMinioStorageFull"), state.ErrFull},
		{answer(http.StatusBadRequest, "QuotaExceeded"), state.ErrFull},
		{answer(http.StatusPreconditionFailed, "PreconditionFailed"), state.ErrExists},
	}
	for _, tt := range tests {
		answers.fault = tt.fault
		store := storetest.URL(t, place).Open()
		if err := store.Put(t.Context(), 1, []byte("x")); !errors.Is(err, tt.target) {
			t.Errorf("have %v, want %v", err, tt.target)
		}
	}
	busy := 3
	answers.fault = func(w http.ResponseWriter, _ *http.Request) bool {
		if busy--; busy < 0 {
			return false
		}
		refuse(w, http.StatusConflict, "ConditionalRequestConflict")
		return true
	}
	if err := storetest.URL(t, place).Open().Put(t.Context(), 1, []byte("x")); err != nil {
		t.Errorf("a server that asked to try again: %v", err)
	}
}

func TestOpenRefusesWhatIsNoPlace(t *testing.T) {
	tests := map[string]string{
		"":                             "no place is given",
		"ftp://host/x":                 `"ftp" is no kind of store`,
		"s3:///prefix":                 "want s3://bucket/prefix",
		"s3://key:hunter22@bucket/x":   "credentials from the environment",
		"s3://bucket/x?regoin=eu-1":    `parameter "regoin" is unknown`,
		"postgres://a:hunter22@h:x/db": "open the state",
		"postgres://a:hunter22@h/db?sslmode=perhaps": "sslmode",
	}
	for place, says := range tests {
		_, err := state.Open(context.WithoutCancel(t.Context()), place)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: the error is %v, want %q", place, err, says)
		}
	}
	store, err := state.Open(t.Context(), "postgres://ann:hunter22@db.example:5433/states?prefix=shop&sslmode=require")
	if err != nil || store.Name() != "postgres://db.example:5433/states?prefix=shop" {
		t.Errorf("have %v, %v", store, err)
	} else {
		store.Close()
	}
}
