package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/lab"
)

func newDoctorCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at all that cloudship needs: Docker, keys, credentials, state, clock, plugins, lab",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), t, g, &f) },
	}
	f.addVars(cmd.Flags())
	return cmd
}

func runDoctor(ctx context.Context, t *terminal, g *global, f *stackFlags) error {
	options, err := f.options(ctx, t, g, "doctor")
	if err != nil {
		return err
	}
	ill := false
	for _, c := range append(engine.Doctor(ctx, options), labCheckup(ctx)) {
		ill = ill || !c.OK
		if t.json {
			t.object("checkup", c.What+": "+c.Text, map[string]any{"checkup": c})
			continue
		}
		mark, ink := "ok  ", "32"
		if !c.OK {
			mark, ink = "FAIL", "31"
		}
		if t.color {
			mark = "\x1b[" + ink + "m" + mark + "\x1b[0m"
		}
		t.print("%s %s: %s\n", mark, c.What, c.Text)
		if c.Hint != "" {
			t.print("     hint: %s\n", c.Hint)
		}
	}
	if ill {
		return &codeError{code: exitError}
	}
	return nil
}

// labCheckup says whether a lab runs here, and whether the providers are pointed at it.
func labCheckup(ctx context.Context) engine.Checkup {
	c := engine.Checkup{What: "lab", OK: true}
	dir := or(os.Getenv("CLOUDSHIP_LAB"), defaultLab())
	r, err := lab.Find(dir)
	if errors.Is(err, lab.ErrNotRunning) {
		c.Text, c.Hint = "none runs", "'cloudship lab up' starts one: a cloud on this machine, without an account"
		return c
	}
	if err == nil {
		var report lab.Report
		if report, err = r.Report(ctx); err == nil {
			c.Text = "runs in " + dir + " (" + report.Servers + ")"
			if os.Getenv("DIGITALOCEAN_API_URL") != report.URLs[lab.DigitalOcean] {
				c.Hint = `the providers are not pointed at it: eval "$(cloudship lab env)"`
			}
			return c
		}
	}
	c.OK, c.Text = false, err.Error()
	return c
}
