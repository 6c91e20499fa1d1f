package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be cloudship, its plugins and its lab.
func TestMain(m *testing.M) {
	builtIn.ServeIfAsked()
	if len(os.Args) > 2 && os.Args[1] == "lab" {
		os.Exit(run())
	}
	testscript.Main(m, map[string]func(){"cloudship": func() { os.Exit(run()) }})
}
