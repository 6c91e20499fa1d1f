package main

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite expected outputs")

func TestTheReferenceOfCommandsIsCurrent(t *testing.T) {
	const path = "../../docs/cli.md"
	want := reference(newRoot(newTerminal(os.Stdin, os.Stdout, os.Stderr)))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("docs/cli.md is not current: go test ./cmd/cloudship -run Reference -update")
	}
}
