package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRoot(t *terminal) *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:   "cloudship",
		Short: "Your Docker application on real servers, behind the cloud's load balancer, released with no failed request",
		Long: `cloudship takes a Compose application to groups of servers behind a provider's load balancer.
One plan has the servers, the balancer, Docker, the containers and the switch of traffic; it is
shown with its price before anything is done, and survives being killed anywhere.

Start with 'cloudship init', or try it with no account at all: 'cloudship lab up'.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := environ(cmd)
			if g.json {
				t.streams()
			}
			return err
		},
	}
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentFlags().StringVarP(&g.dir, "dir", "C", ".", "the stack's folder")
	root.PersistentFlags().BoolVar(&g.json, "json", false, "print a stream of JSON objects, one a line")
	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
		}
		root.AddCommand(commands...)
	}
	group("begin", "To begin:", newInitCommand(t, g), newLabCommand(t, g), newDoctorCommand(t, g))
	group("change", "To change what runs:",
		newPlanCommand(t, g), newApplyCommand(t, g), newSwitchCommand(t, g), newRollbackCommand(t, g), newScaleCommand(t, g), newDestroyCommand(t, g))
	group("look", "To look at what runs:",
		newStatusCommand(t, g), newReleasesCommand(t, g), newLogsCommand(t, g), newStatsCommand(t, g), newOutputCommand(t, g), newCertificatesCommand(t, g), newStateCommand(t, g))
	group("reach", "To reach into it:", newExecCommand(t, g), newSSHCommand(t, g), newRunHookCommand(t, g))
	group("data", "To keep data safe:", newBackupCommand(t, g))
	group("write", "To write and check files:",
		newValidateCommand(t, g), newFmtCommand(t, g), newTemplateCommand(t, g), newBuildCommand(t, g), newPushCommand(t, g), newImagesCommand(t, g), newPluginCommand(t, g))
	root.AddCommand(newDocsCommand(t), newVersionCommand(t, g))
	usage(root)
	return root
}

// usage makes a wrong number of arguments a usage error, and names every flag's twin in the
// environment in its help.
func usage(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, list []string) error {
			if err := args(c, list); err != nil {
				return &usageError{err}
			}
			return nil
		}
	}
	name := func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "var" {
			f.Usage += " [$" + twin(f.Name) + "]"
		}
	}
	cmd.PersistentFlags().VisitAll(name)
	cmd.LocalNonPersistentFlags().VisitAll(name)
	for _, c := range cmd.Commands() {
		usage(c)
	}
}
