package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newDocsCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:    "docs [FILE]",
		Short:  "Write the reference of all commands in Markdown: docs/cli.md",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := reference(cmd.Root())
			if len(args) == 0 {
				t.print("%s", text)
				return nil
			}
			if err := os.WriteFile(args[0], []byte(text), 0o644); err != nil {
				return fmt.Errorf("write the reference: %w", err)
			}
			return nil
		},
	}
}

// reference is the manual of all commands, from their own help, so that it cannot differ.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The command line\n\nWritten by `cloudship docs`; a test keeps it current.\n\n")
	fmt.Fprintf(&b, "%s\n\n", root.Long)
	b.WriteString("Every flag has a twin in the environment, named beside it. Variables of the stack file are also taken from\n`CLOUDSHIP_VAR_name`. What was asked for goes to standard output, all else to standard error. `NO_COLOR`,\n`CI` and pipes are honoured.\n\n")
	b.WriteString("## Exit codes\n\n| code | meaning |\n|---|---|\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.meaning)
	}
	b.WriteString("\n## The JSON stream\n\n" + streamManual + "\n## Flags of all commands\n\n")
	flagTable(&b, root.PersistentFlags())
	section(&b, root)
	return b.String()
}

// section writes a command's subcommands, one after the other.
func section(b *strings.Builder, parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n%s.\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
		if cmd.Long != "" {
			fmt.Fprintf(b, "\n%s\n", cmd.Long)
		}
		if cmd.Runnable() {
			fmt.Fprintf(b, "\n```\n%s\n```\n", cmd.UseLine())
		}
		if cmd.Example != "" {
			fmt.Fprintf(b, "\n```\n%s\n```\n", cmd.Example)
		}
		if cmd.HasAvailableLocalFlags() {
			b.WriteString("\n")
			flagTable(b, cmd.LocalFlags())
		}
		section(b, cmd)
	}
}

func flagTable(w io.Writer, flags *pflag.FlagSet) {
	_, _ = io.WriteString(w, "| flag | meaning |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" && f.Name != "lab" {
			usage += " (default " + f.DefValue + ")"
		}
		_, _ = fmt.Fprintf(w, "| `%s` | %s |\n", name, strings.ReplaceAll(usage, "|", "\\|"))
	})
}

// streamManual says what --json prints.
const streamManual = "With `--json` a command prints one object a line on standard output, and nothing on standard error. The first\n" +
	"object has the type `version` and names the stream's version in `ui`: a new minor version adds, a new major one\n" +
	"breaks. Every object has `@level`, `@message`, `@module`, `@timestamp` and `type`. Whoever does not know a type\n" +
	"shows its `@message`. Errors and warnings are objects of type `diagnostic`, with `severity`, `hint`, `place` and,\n" +
	"for errors, `exit_code`. A walk tells `step_started`, `step_progress`, `step_done`, `step_failed`, `step_skipped`\n" +
	"and, for what is silent for long, `heartbeat`; a plan `planned_change`, `resource_drift`, `deferred_change`,\n" +
	"`unknown` and `change_summary`.\n"
