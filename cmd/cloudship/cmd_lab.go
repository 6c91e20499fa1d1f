package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/resource"
)

func newLabCommand(t *terminal, _ *global) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "The local cloud: the providers' APIs on loopback, real servers in containers behind them",
		Long: `The lab serves the providers' APIs on loopback. Behind them a server is a container with systemd,
cloud-init and sshd, in which Docker is really installed; a load balancer is a real listener.

  cloudship lab up
  eval "$(cloudship lab env)"
  cloudship apply

The stack file does not change by a character.`,
	}
	cmd.PersistentFlags().StringVar(&dir, "lab", defaultLab(), "the lab's data folder")
	cmd.AddCommand(labUp(t, &dir), labDown(t, &dir), labStatus(t, &dir), labEnv(t, &dir), labLogs(t, &dir), labFaults(t, &dir), labServe())
	return cmd
}

// defaultLab is where the lab of a user lives.
func defaultLab() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ".lab"
	}
	return filepath.Join(dir, "cloudship", "lab")
}

func labUp(t *terminal, dir *string) *cobra.Command {
	o := lab.Options{}
	cmd := &cobra.Command{
		Use: "up", Short: "Start the lab in the background", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Servers == lab.Containers {
				if err := lab.Prepare(cmd.Context(), func(line string) { t.say("lab: %s", line) }); err != nil {
					return err
				}
			}
			t.say("starting the lab in %s (%s)", *dir, o.Servers)
			err := lab.Up(cmd.Context(), *dir, o)
			if err != nil && o.Listen != "" && strings.Contains(err.Error(), "address already in use") {
				return resource.WithHint(err, "leave --listen away: the lab takes a port that is free")
			}
			if err != nil {
				return err
			}
			t.say(`it serves; point the providers at it with: eval "$(cloudship lab env)"`)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Servers, "servers", lab.Containers, "what servers are: containers, or paper for thousands at a time without Docker")
	cmd.Flags().StringVar(&o.Listen, "listen", "", "address to serve the APIs on; empty: any free port of 127.0.0.1")
	return cmd
}

func labDown(t *terminal, dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "End the lab and remove all that it made", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := lab.Down(cmd.Context(), *dir); err != nil {
				return err
			}
			t.say("the lab is gone")
			return nil
		},
	}
}

func labStatus(t *terminal, dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Tell what the lab holds", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := lab.Find(*dir)
			if err != nil {
				return err
			}
			report, err := r.Report(cmd.Context())
			if err != nil {
				return err
			}
			return showValue(t, "lab", report)
		},
	}
}

func labEnv(t *terminal, dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "Print the lines for a shell that point the providers at the lab", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := lab.Find(*dir)
			if err != nil {
				return err
			}
			_, err = io.WriteString(t.out, r.Env())
			return err
		},
	}
}

func labLogs(t *terminal, dir *string) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs", Short: "Print the lab's log", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return lab.Logs(cmd.Context(), *dir, t.out, follow) },
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return cmd
}

func labFaults(t *terminal, dir *string) *cobra.Command {
	var reset bool
	cmd := &cobra.Command{
		Use:     "faults [JSON]",
		Short:   "Show or change the lab's times, limits and faults",
		Example: `  cloudship lab faults '{"latency": "200ms"}'`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := lab.Find(*dir)
			if err != nil {
				return err
			}
			if reset {
				if err := r.ResetFaults(cmd.Context()); err != nil {
					return err
				}
			}
			if len(args) == 1 {
				if _, err := r.SetFaults(cmd.Context(), []byte(args[0])); err != nil {
					return err
				}
			}
			settings, err := r.Faults(cmd.Context())
			if err != nil {
				return err
			}
			return showValue(t, "faults", settings)
		},
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "go back to what the lab was started with first")
	return cmd
}

func labServe() *cobra.Command {
	return &cobra.Command{
		Use: "serve DIR", Short: "Be the lab's background process", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error { return lab.Serve(cmd.Context(), args[0]) },
	}
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
