package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/plugins"
)

func newPluginCommand(t *terminal, g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "Providers: those built in, and those of others"}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the providers: built in, and on the plugin path with their pins",
			Args:  cobra.NoArgs,
			RunE:  func(*cobra.Command, []string) error { return listPlugins(t, g) },
		},
		&cobra.Command{
			Use:   "pin NAME",
			Short: "Trust a provider's executable as it is now: write its checksum into " + plugins.LockFile,
			Args:  cobra.ExactArgs(1),
			RunE:  func(cmd *cobra.Command, args []string) error { return pinPlugin(cmd.Context(), t, g, args[0]) },
		},
		newServeCommand(),
	)
	return cmd
}

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "serve NAME",
		Short:  "Serve a built-in provider to the cloudship that started this process",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if _, ok := builtIn[args[0]]; !ok {
				return fmt.Errorf("no built-in provider %q", args[0])
			}
			// A process that cloudship started never comes here: main serves it first.
			return &usageError{errors.New("this is a plugin: cloudship starts it, people don't")}
		},
	}
}

func listPlugins(t *terminal, g *global) error {
	for _, name := range builtIn.Names() {
		t.result("plugin", name+"  built in", map[string]any{"name": name, "built_in": true})
	}
	lock, err := plugins.ReadLock(filepath.Join(g.dir, plugins.LockFile))
	if err != nil {
		return err
	}
	for _, dir := range plugins.Path(os.LookupEnv) {
		found, err := filepath.Glob(filepath.Join(dir, plugins.Executable+"*"))
		if err != nil {
			return fmt.Errorf("look for plugins: %w", err)
		}
		for _, path := range found {
			name := strings.TrimPrefix(filepath.Base(path), plugins.Executable)
			pin := pinOf(lock, name, path)
			t.result("plugin", fmt.Sprintf("%s  %s  %s", name, path, pin), map[string]any{"name": name, "path": path, "pin": pin})
		}
	}
	return nil
}

// pinOf says whether an executable is the one that was pinned.
func pinOf(lock plugins.Lock, name, path string) string {
	want, ok := lock[name].SHA256[plugins.Platform()]
	if !ok {
		return "not pinned"
	}
	if have, err := plugins.Checksum(path); err != nil || have != want {
		return "another than was pinned"
	}
	return "pinned"
}

// pinPlugin writes the checksum of the executable that would be started into the lock file.
func pinPlugin(ctx context.Context, t *terminal, g *global, name string) error {
	path, err := plugins.Look(name, plugins.Path(os.LookupEnv))
	if err != nil {
		return err
	}
	file := filepath.Join(g.dir, plugins.LockFile)
	lock, err := plugins.ReadLock(file)
	if err != nil {
		return err
	}
	sum, err := plugins.Checksum(path)
	if err != nil {
		return err
	}
	version, err := versionOf(ctx, name, path, sum)
	if err != nil {
		return err
	}
	if err := lock.Pin(name, version, path); err != nil {
		return err
	}
	if err := lock.Write(file); err != nil {
		return err
	}
	t.result("pinned", fmt.Sprintf("%s %s is pinned in %s: %s", name, version, plugins.LockFile, sum), map[string]any{"name": name, "version": version, "sha256": sum})
	return nil
}

// versionOf asks an executable for the version of its provider. It gets no credentials for that.
func versionOf(ctx context.Context, name, path, sum string) (string, error) {
	c, err := plugins.Start(ctx, plugins.Source{Name: name, Path: path, SHA256: sum, LookupEnv: func(string) (string, bool) { return "", false }})
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	schema, err := c.Schema(ctx)
	return schema.Version, err
}
