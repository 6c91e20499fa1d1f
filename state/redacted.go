package state

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// redacted returns a JSON text with every string in it redacted. Numbers stay:
// in a body they are ports and sizes, and a mask in their place would be no
// JSON. What has no secret in it stays byte for byte.
func redacted(body json.RawMessage, redact func(string) string) (json.RawMessage, error) {
	if !json.Valid(body) {
		return nil, fmt.Errorf("the body is no JSON")
	}
	if redact == nil {
		return body, nil
	}
	var out bytes.Buffer
	for rest := []byte(body); ; {
		at := bytes.IndexByte(rest, '"')
		if at < 0 {
			out.Write(rest)
			return out.Bytes(), nil
		}
		out.Write(rest[:at])
		end := at + 1
		for rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		literal := rest[at : end+1]
		rest = rest[end+1:]
		var text string
		if err := json.Unmarshal(literal, &text); err != nil {
			return nil, err
		}
		if clean := redact(text); clean != text {
			masked, err := json.Marshal(clean)
			if err != nil {
				return nil, err
			}
			literal = masked
		}
		out.Write(literal)
	}
}
