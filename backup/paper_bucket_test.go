package backup_test

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// objects is as much of an S3 server as a target needs, with faults.
type objects struct {
	unknowing bool                                                           // answers 501 to conditions
	fault     func(w http.ResponseWriter, r *http.Request, call string) bool // answers itself, before any effect
	lose      func(r *http.Request, call string) bool                        // breaks the connection, after the effect
	discard   bool                                                           // keeps no parts
	cutAt     int                                                            // a download breaks there

	mu      sync.Mutex
	objects map[string]object // by bucket and key
	uploads map[string]*upload
}

type object struct {
	data     []byte
	mark     string
	modified time.Time
}

type upload struct {
	key, mark string
	begun     time.Time
	parts     map[int][]byte
}

const markHeader = "X-Amz-Meta-Cloudship-Put"

// serveObjects starts the server and returns the place of a stack on it.
func serveObjects(t *testing.T, o *objects) string {
	t.Helper()
	o.objects, o.uploads = map[string]object{}, map[string]*upload{}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "tester")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing-secret")
	return "s3://backups/shop?part_size=5&endpoint=" + url.QueryEscape(server.URL)
}

func (o *objects) unfinished() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.uploads)
}

// callOf names a request as S3's documents do.
func callOf(r *http.Request) string {
	query := r.URL.Query()
	_, uploads := query["uploads"]
	switch {
	case query.Get("list-type") == "2":
		return "ListObjectsV2"
	case uploads && r.Method == http.MethodGet:
		return "ListMultipartUploads"
	case uploads:
		return "CreateMultipartUpload"
	case query.Get("uploadId") != "":
		return map[string]string{
			http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload", http.MethodDelete: "AbortMultipartUpload",
		}[r.Method]
	}
	return map[string]string{
		http.MethodPut: "PutObject", http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodDelete: "DeleteObject",
	}[r.Method]
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	call := callOf(r)
	if err != nil || o.fault != nil && o.fault(w, r, call) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lose != nil && o.lose(r, call) {
		o.serve(httptest.NewRecorder(), r, call, body)
		panic(http.ErrAbortHandler)
	}
	o.serve(w, r, call, body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants</Message></Error>", code)
}

func (o *objects) serve(w http.ResponseWriter, r *http.Request, call string, body []byte) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	have, exists := o.objects[key]
	if condition := r.Header.Get("If-None-Match"); condition != "" {
		if o.unknowing {
			refuse(w, http.StatusNotImplemented, "NotImplemented")
			return
		}
		if exists {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
	}
	switch call {
	case "ListObjectsV2":
		o.list(w, strings.TrimSuffix(key, "/"), r.URL.Query())
	case "PutObject":
		o.objects[key] = object{body, r.Header.Get(markHeader), time.Now()}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
	case "DeleteObject":
		delete(o.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case "GetObject", "HeadObject":
		if !exists {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set(markHeader, have.mark)
		w.Header().Set("Content-Length", strconv.Itoa(len(have.data)))
		if call == "GetObject" && o.cutAt > 0 && o.cutAt < len(have.data) {
			w.Write(have.data[:o.cutAt])
			panic(http.ErrAbortHandler)
		}
		w.Write(have.data)
	default:
		o.multipart(w, r, call, key, body)
	}
}

func (o *objects) multipart(w http.ResponseWriter, r *http.Request, call, key string, body []byte) {
	id := r.URL.Query().Get("uploadId")
	have := o.uploads[id]
	if have == nil && id != "" {
		refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch call {
	case "CreateMultipartUpload":
		id := rand.Text()
		o.uploads[id] = &upload{key: key, mark: r.Header.Get(markHeader), begun: time.Now(), parts: map[int][]byte{}}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case "UploadPart":
		number, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		if !o.discard {
			have.parts[number] = body
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
	case "AbortMultipartUpload":
		delete(o.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case "CompleteMultipartUpload":
		o.complete(w, id, body)
	case "ListMultipartUploads":
		fmt.Fprint(w, "<ListMultipartUploadsResult>")
		for _, id := range slices.Sorted(maps.Keys(o.uploads)) {
			u := o.uploads[id]
			if name := strings.TrimPrefix(u.key, key+"/"); strings.HasPrefix(name, r.URL.Query().Get("prefix")) {
				fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>", name, id, u.begun.UTC().Format(time.RFC3339))
			}
		}
		fmt.Fprint(w, "</ListMultipartUploadsResult>")
	}
}

// complete joins the parts that it is told; all but the last are as large as S3 demands.
func (o *objects) complete(w http.ResponseWriter, id string, body []byte) {
	var wanted struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.Unmarshal(body, &wanted); err != nil {
		refuse(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	have := o.uploads[id]
	var data []byte
	for i, part := range wanted.Part {
		content := have.parts[part.PartNumber]
		if part.ETag != fmt.Sprintf(`"%x"`, md5.Sum(content)) || part.PartNumber != i+1 {
			refuse(w, http.StatusBadRequest, "InvalidPart")
			return
		}
		if len(content) < 5<<20 && i < len(wanted.Part)-1 {
			refuse(w, http.StatusBadRequest, "EntityTooSmall")
			return
		}
		data = append(data, content...)
	}
	o.objects[have.key] = object{data, have.mark, time.Now()}
	delete(o.uploads, id)
	fmt.Fprint(w, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
}

// list answers in pages of three.
func (o *objects) list(w http.ResponseWriter, bucket string, query url.Values) {
	type content struct {
		Key          string
		Size         int
		LastModified string
	}
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	after := query.Get("continuation-token")
	for _, path := range slices.Sorted(maps.Keys(o.objects)) {
		key := strings.TrimPrefix(path, bucket+"/")
		if !strings.HasPrefix(key, query.Get("prefix")) || key <= after {
			continue
		}
		if len(page.Contents) == 3 {
			page.IsTruncated, page.NextContinuationToken = true, page.Contents[2].Key
			break
		}
		have := o.objects[path]
		page.Contents = append(page.Contents, content{key, len(have.data), have.modified.UTC().Format(time.RFC3339)})
	}
	if err := xml.NewEncoder(w).Encode(page); err != nil {
		return
	}
}
