package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/stack"
)

func newFmtCommand(t *terminal, g *global) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt",
		Short: "Lay out the stack file and the files of variables beside it",
		Long: `Lay out cloudship.hcl and *.vars.hcl: two spaces a level, equal signs in a row. The names of the
files that were changed are printed. With --check nothing is changed, and there are some that would
be: exit 1.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runFmt(t, g.dir, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit 1 when a file would be changed")
	return cmd
}

func runFmt(t *terminal, dir string, check bool) error {
	files := []string{filepath.Join(dir, stack.File)}
	vars, err := filepath.Glob(filepath.Join(dir, "*.vars.hcl"))
	if err != nil {
		return err
	}
	changed := false
	for _, path := range append(files, vars...) {
		did, err := format(path, check)
		if err != nil {
			return err
		}
		if did {
			changed = true
			t.result("formatted", path, map[string]any{"file": path, "check": check})
		}
	}
	if check && changed {
		return &codeError{code: exitError}
	}
	return nil
}

// format lays out one file and reports whether that changes it. The file is replaced in one motion.
func format(path string, check bool) (bool, error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("fmt: %w", err)
	}
	laid := stack.Format(old)
	if bytes.Equal(old, laid) || check {
		return !bytes.Equal(old, laid), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("fmt: %w", err)
	}
	aside, err := os.CreateTemp(filepath.Dir(path), ".fmt-")
	if err != nil {
		return false, fmt.Errorf("fmt: %w", err)
	}
	defer func() { _ = os.Remove(aside.Name()) }()
	_, err = aside.Write(laid)
	if err == nil {
		err = aside.Chmod(info.Mode())
	}
	if e := aside.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(aside.Name(), path)
	}
	if err != nil {
		return false, fmt.Errorf("fmt %s: %w", path, err)
	}
	return true, nil
}
