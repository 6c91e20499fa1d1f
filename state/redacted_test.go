package state

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRedactedBodyStaysJSON(t *testing.T) {
	redact := func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, "8080", "***"), `pa"ss`, "***")
	}
	for body, want := range map[string]string{
		`{"port":8080,"url":"http://h:8080/"}`: `{"port":8080,"url":"http://h:***/"}`,
		`{"8080":["pa\"ss","\u0070a\"ss!\\"]}`: `{"***":["***","***!\\"]}`,
		`{"a":"<\u00fc\/>" , "b":""}`:          `{"a":"<\u00fc\/>" , "b":""}`,
		`"8080"`:                               `"***"`, `8080`: `8080`,
	} {
		have, err := redacted([]byte(body), redact)
		if err != nil || string(have) != want {
			t.Errorf("%s\n became %s, %v\n want %s", body, have, err, want)
		}
	}
}

func FuzzRedacted(f *testing.F) {
	f.Add([]byte(`{"a":["b\\",8080,"\u0000\"8080"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		have, err := redacted(body, func(text string) string { return strings.ReplaceAll(text, "8", "***") })
		if (err == nil) != json.Valid(body) || err == nil && !json.Valid(have) {
			t.Fatalf("%q became %q, %v", body, have, err)
		}
		same, err := redacted(body, func(text string) string { return text })
		if err == nil && string(same) != string(body) {
			t.Fatalf("%q became %q", body, same)
		}
	})
}
