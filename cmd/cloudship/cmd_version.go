package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/state"
)

func newVersionCommand(t *terminal, _ *global) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program, of its provider protocol and of its state format",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := fmt.Sprintf("cloudship %s (provider protocol %d, state format %d, %s, %s/%s)",
				version(), plugins.Protocol, state.Format, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			t.result("program", text, map[string]any{
				"version": version(), "protocol": plugins.Protocol, "state_format": state.Format, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
			})
			return nil
		},
	}
}

// version is the program's version, from what the Go toolchain wrote into it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") && len(s.Value) >= 12 {
			v = s.Value[:12]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}
