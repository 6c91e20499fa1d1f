package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// buildMessage is one message of the engine's build stream.
type buildMessage struct {
	Stream string `json:"stream"`
	Status string `json:"status"`
	Error  string `json:"error"`
}

// followBuild reads a build's messages to the end. The error holds the last lines before it.
func followBuild(r io.Reader, name string, say func(string)) error {
	decoder := json.NewDecoder(r)
	var said []string
	for {
		var m buildMessage
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
		if m.Error != "" {
			return fmt.Errorf("build %s: %s\n%s", name, m.Error, lastLines(strings.Join(said, "\n"), 15))
		}
		for _, line := range strings.Split(m.Stream, "\n") {
			if line = strings.TrimRight(line, "\r "); line != "" {
				said = append(said, line)
				say(line)
			}
		}
	}
}
