package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/resource"
)

func newCertificatesCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "certificates",
		Short: "List the TLS certificates that lie on servers, and the days that they have left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.session(cmd.Context(), t, g, "certificates")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			list, err := s.Certificates(cmd.Context())
			if err != nil {
				return err
			}
			if t.json {
				t.object("certificates", "certificates", map[string]any{"certificates": list})
			} else {
				t.table(func(row func(string, ...any)) { printCertificates(row, list) })
			}
			if slices.ContainsFunc(list, func(c engine.CertificateStatus) bool { return c.Unknown != "" || c.Broken != "" }) {
				return &codeError{code: exitError}
			}
			return nil
		},
	}
	f.add(cmd.Flags())
	cmd.AddCommand(newRenewCommand(t, g))
	return cmd
}

func printCertificates(row func(format string, args ...any), list []engine.CertificateStatus) {
	for _, c := range list {
		names := strings.Join(c.Domains, ", ")
		if c.Facts == nil {
			row("certificate.%s\t%s\t%s\t%s%s", c.Name, c.Server, names, c.Broken, c.Unknown)
			continue
		}
		row("certificate.%s\t%s\t%s\t%d days left, until %s, by %s", c.Name, c.Server, names, c.Left, c.Facts.NotAfter.Local().Format(time.DateTime), c.Facts.Issuer)
		row("  serial %s\trenewed from %s\t%s\t%s", c.Facts.Serial, c.Facts.Renewal.Local().Format(time.DateTime), c.Path, c.Broken+c.Unknown)
	}
}

func newRenewCommand(t *terminal, g *global) *cobra.Command {
	var o applyOptions
	var force bool
	cmd := &cobra.Command{
		Use:   "renew [NAME...]",
		Short: "Renew the certificates that are due, and nothing else: for cron and CI",
		Long: `Renew the certificates that are due, or all that are named with --force. Nothing is built and nothing
is released by the way. Where nothing is due, nothing is asked of the CA, and the exit code is 0.`,
		Example: "  cloudship certificates renew --auto-approve",
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := o.request()
			if err != nil {
				return err
			}
			if request.Targets, err = certificatesNamed(t, g, &o.stackFlags, args); err != nil {
				return err
			}
			if force && len(args) == 0 {
				return &usageError{fmt.Errorf("--force: name the certificates: CAs count how many they give")}
			}
			request.Renew, request.Force = true, force
			return planAndApply(cmd.Context(), t, g, &o, "certificates renew", request)
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also those that are not due")
	completes(cmd, t, g, &o.stackFlags, -1, certificateNames)
	return cmd
}

// certificatesNamed are the addresses of the certificates that are meant: all where none is named.
func certificatesNamed(t *terminal, g *global, f *stackFlags, names []string) ([]resource.Address, error) {
	options, err := f.given(t, g, "")
	if err != nil {
		return nil, err
	}
	options.Looking = true // for names alone
	s, err := engine.Load(options)
	if err != nil {
		return nil, err
	}
	var list []resource.Address
	for _, c := range s.Certificates {
		if len(names) == 0 || slices.Contains(names, c.Name) {
			list = append(list, resource.CertificateNamed(c.Name))
		}
	}
	for _, name := range names {
		if !slices.Contains(list, resource.CertificateNamed(name)) {
			return nil, &usageError{fmt.Errorf("the stack has no certificate %q", name)}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the stack has no certificate block")
	}
	return list, nil
}

func certificateNames(s *engine.Session) []string {
	var list []string
	for _, c := range s.Stack().Certificates {
		list = append(list, c.Name)
	}
	return list
}
