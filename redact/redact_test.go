package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cloudship/cloudship/redact"
)

const password = `p$w'o "r/d\ü&<b>+1`

func TestStringRemovesAllForms(t *testing.T) {
	inJSON := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	request, err := http.NewRequest("GET", "http://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("ann", password)

	tests := map[string]string{
		"plain":             password,
		"json":              inJSON(map[string]string{"p": password}),
		"json in json":      inJSON(inJSON(password)),
		"go quoted":         strconv.Quote(password),
		"query":             url.Values{"p": {password}}.Encode(),
		"path":              url.PathEscape(password),
		"user info":         (&url.URL{Scheme: "http", User: url.UserPassword("ann", password), Host: "h"}).String(),
		"shell":             "'" + strings.ReplaceAll(password, "'", `'\''`) + "'",
		"sql":               "'" + strings.ReplaceAll(password, "'", `''`) + "'",
		"hex":               hex.EncodeToString([]byte(password)),
		"base64":            base64.StdEncoding.EncodeToString([]byte(password)),
		"base64 raw url":    base64.RawURLEncoding.EncodeToString([]byte(password)),
		"basic auth header": request.Header.Get("Authorization"),
		"base64 shifted 1":  base64.StdEncoding.EncodeToString([]byte("x" + password + "yyyy")),
		"base64 shifted 2":  base64.StdEncoding.EncodeToString([]byte("xx" + password + "y")),
	}
	r := redact.New()
	r.Add(password)
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			got := r.String("before " + text + " after")
			if !strings.Contains(got, redact.Mask) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Fatalf("%s\n became %s", text, got)
			}
			if left := longestCommon(got, text); left > 14 {
				t.Errorf("%s\n became %s", text, got)
			}
		})
	}
}

// longestCommon returns the length of the longest run of text found in s, of
// the runs of up to 20 bytes.
func longestCommon(s, text string) int {
	for n := min(20, len(text)); n > 0; n-- {
		for i := 0; i+n <= len(text); i++ {
			if strings.Contains(s, text[i:i+n]) {
				return n
			}
		}
	}
	return 0
}

func TestLinesOfAPrivateKeyAreSecret(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n"
	r := redact.New()
	r.Add(key)
	got := r.String("web-1 | -----BEGIN PRIVATE KEY-----\nweb-1 | MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nweb-1 | ok\n")
	want := "web-1 | -----BEGIN PRIVATE KEY-----\nweb-1 | ***\nweb-1 | ok\n"
	if got != want {
		t.Errorf("have %q, want %q", got, want)
	}
	if got := r.String("a" + strings.TrimSpace(key) + "b"); got != "a***b" {
		t.Errorf("have %q", got)
	}
}

func TestSpaceAroundIsNotSecret(t *testing.T) {
	r := redact.New()
	r.Add("\n hunter22\n")
	var out strings.Builder
	w := r.Writer(&out)
	fmt.Fprint(w, "line\n")
	if out.String() != "line\n" {
		t.Errorf("a line end is kept back: %q", out.String())
	}
	fmt.Fprint(w, "hunter22;", base64.StdEncoding.EncodeToString([]byte("\n hunter22\n")), "\n")
	if want := "line\n***;***\n"; out.String() != want {
		t.Errorf("have %q, want %q", out.String(), want)
	}
}

func TestWholeFileIsSecret(t *testing.T) {
	var file strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&file, "entry number %d\n", i)
	}
	r := redact.New()
	r.Add(file.String())
	if got := r.String("a\n" + file.String() + "b"); got != "a\n***\nb" {
		t.Errorf("have %d bytes: %.40q", len(got), got)
	}
	if got := r.String("web-1 | entry number 777\n"); got != "web-1 | ***\n" {
		t.Errorf("have %q", got)
	}
}

func TestOverlapping(t *testing.T) {
	tests := []struct {
		secrets    []string
		text, want string
	}{
		{[]string{"abcd", "cdef"}, "xabcdefx", "x***x"},
		{[]string{"bcde", "abcdefg"}, "xabcdefgx", "x***x"},
		{[]string{"bcde", "abcdefg"}, "xabcdex", "xa***x"},
		{[]string{"abcdefg", "defgh"}, "xabcdefghx", "x***x"},
		{[]string{"abcd"}, "abcdabcd-abcd", "***-***"},
		{[]string{"aaaa"}, "aaaaaa", "***"},
		{[]string{"abcd"}, "abcabc", "abcabc"},
		{[]string{"abc", "", "true", "    "}, "abc true     ", "abc true     "},
	}
	for _, tt := range tests {
		r := redact.New()
		r.Add(tt.secrets...)
		if got := r.String(tt.text); got != tt.want {
			t.Errorf("%q of %q: have %q, want %q", tt.secrets, tt.text, got, tt.want)
		}
	}
}

func TestWriterKeepsBackOnlyWhatMayBeSecret(t *testing.T) {
	r := redact.New()
	r.Add("hunter22")
	var out strings.Builder
	w := r.Writer(&out)
	for _, step := range []struct{ write, want string }{
		{"line\n", "line\n"},
		{"password: hunt", "line\npassword: "},
		{"er2", "line\npassword: "},
		{"2\n", "line\npassword: ***\n"},
		{"hunt", "line\npassword: ***\n"},
		{"ing\n", "line\npassword: ***\nhunting\n"},
		{"hunter2", "line\npassword: ***\nhunting\n"},
	} {
		if n, err := w.Write([]byte(step.write)); n != len(step.write) || err != nil {
			t.Fatal(n, err)
		}
		if out.String() != step.want {
			t.Fatalf("after %q: have %q, want %q", step.write, out.String(), step.want)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "line\npassword: ***\nhunting\nhunter2"; out.String() != want {
		t.Errorf("have %q, want %q", out.String(), want)
	}
}

func TestAddWhileWriting(t *testing.T) {
	r := redact.New()
	r.Add("hunter22")
	var out strings.Builder
	w := r.Writer(&out)
	fmt.Fprint(w, "hunter")
	r.Add("terror-1")
	fmt.Fprint(w, "ror-1 hunter22")
	w.Close()
	if want := "hun*** ***"; out.String() != want {
		t.Errorf("have %q, want %q", out.String(), want)
	}
}

func TestConcurrentUse(t *testing.T) {
	r := redact.New()
	var out lockedBuilder
	w := r.Writer(&out)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			value := fmt.Sprintf("secret-number-%d;", i)
			r.Add(value)
			for range 50 {
				fmt.Fprintf(w, "value %s\n", value)
			}
		})
	}
	all.Wait()
	w.Close()
	if got := out.b.String(); strings.Contains(got, "number") || strings.Count(got, redact.Mask) != 400 {
		t.Errorf("have %q", got)
	}
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(data)
}

func TestErrorStaysItself(t *testing.T) {
	r := redact.New()
	r.Add("hunter22")
	if r.Error(nil) != nil {
		t.Error("nil became an error")
	}
	err := r.Error(&fs.PathError{Op: "open", Path: "/hunter22", Err: fs.ErrNotExist})
	if err.Error() != "open /***: file does not exist" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("have %v", err)
	}
}

// FuzzWriter plants secrets and cuts the text at any places: none comes out,
// the cuts make no difference, and nothing else is lost.
func FuzzWriter(f *testing.F) {
	f.Add("hunter22", "ter22hun", "say ", " and ", []byte{3, 1, 9})
	f.Add("a\nb\nlonger line\n", "aaaa", "aaa", "aaaaa", []byte{1})
	f.Add("ü$'\"", "****", "", "", []byte{})
	f.Add("abab", "babab", "ab", "aba", []byte{2, 2, 2, 2})
	f.Fuzz(func(t *testing.T, one, two, before, between string, cuts []byte) {
		if strings.Contains(one+two, "*") {
			return // the mask itself could spell it
		}
		r := redact.New()
		r.Add(one, two)
		text := before + one + between + two + before + base64.StdEncoding.EncodeToString([]byte(one)) + between
		whole := r.String(text)
		for _, value := range []string{one, two} {
			blank := strings.TrimSpace(value)
			if len(value) < redact.MinLength || blank == "" || blank == "true" || blank == "false" || blank == "null" ||
				strings.EqualFold(blank, "true") || strings.EqualFold(blank, "false") || strings.EqualFold(blank, "null") {
				continue
			}
			if strings.Contains(whole, value) {
				t.Fatalf("%q came out in %q", value, whole)
			}
		}
		var out strings.Builder
		w := r.Writer(&out)
		rest := text
		for _, cut := range cuts {
			n := min(int(cut), len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if _, err := w.Write([]byte(rest)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != whole {
			t.Fatalf("in pieces %q, as a whole %q", out.String(), whole)
		}
	})
}

func BenchmarkString(b *testing.B) {
	r := redact.New()
	for i := range 50 {
		r.Add(fmt.Sprintf("secret value number %d", i))
	}
	text := strings.Repeat("2026-01-02T03:04:05Z web-1 GET /healthz 200 in 3 ms from 10.0.0.7\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.String(text)
	}
}
