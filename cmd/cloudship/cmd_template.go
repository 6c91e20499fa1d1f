package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

func newTemplateCommand(t *terminal, g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Look at templates: Compose files as cloudship understands them"}
	cmd.AddCommand(newLintCommand(t, g), newRenderCommand(t, g), newImportDCHQCommand(t))
	return cmd
}

func newLintCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "lint [TEMPLATE...]",
		Short: "Say what is wrong with templates, and what is doubtful",
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachTemplate(cmd.Context(), t, g, &f, args, func(ctx context.Context, o template.Options) error {
				found, err := template.Lint(ctx, o)
				if err != nil {
					return err
				}
				if err := t.diagnose(found); err != nil {
					return err
				}
				t.result("linted", fmt.Sprintf("template %s: no errors, %d warnings", o.Name, len(found)), map[string]any{"template": o.Name})
				return nil
			})
		},
	}
	f.addVars(cmd.Flags())
	return cmd
}

func newRenderCommand(t *terminal, g *global) *cobra.Command {
	var f stackFlags
	var document bool
	cmd := &cobra.Command{
		Use:   "render [TEMPLATE...]",
		Short: "Print what a template's release will run, in the order in which it comes up",
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachTemplate(cmd.Context(), t, g, &f, args, func(ctx context.Context, o template.Options) error {
				rendered, err := template.Render(ctx, o)
				if err != nil {
					return err
				}
				text, err := rendered.Release.Encode()
				if err != nil {
					return err
				}
				switch {
				case t.json:
					t.object("release", "template "+o.Name, map[string]any{"template": o.Name, "release": text})
				case document:
					t.print("%s\n", text)
				default:
					t.write(func(w io.Writer) { err = rendered.Release.Outline(w) })
				}
				return err
			})
		},
	}
	f.addVars(cmd.Flags())
	cmd.Flags().BoolVar(&document, "document", false, "print the release's document instead, with secrets by digest")
	return cmd
}

// eachTemplate does something to the templates that are named, or to all.
func eachTemplate(ctx context.Context, t *terminal, g *global, f *stackFlags, names []string, do func(context.Context, template.Options) error) error {
	options, err := f.options(ctx, t, g, "template")
	if err != nil {
		return err
	}
	s, err := engine.Load(options)
	if err != nil {
		return err
	}
	var wanted []*stack.Template
	for _, name := range names {
		one := s.Template(name)
		if one == nil {
			return &usageError{fmt.Errorf("the stack has no template %q", name)}
		}
		wanted = append(wanted, one)
	}
	if len(names) == 0 {
		wanted = s.Templates
	}
	for _, one := range wanted {
		o, err := engine.TemplateOptions(s, one)
		if err != nil {
			return err
		}
		if err := do(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func newImportDCHQCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "import-dchq FILE",
		Short: "Turn an application template of DCHQ (HyperForm) into a Compose file",
		Long: `Print the Compose file for an application template of DCHQ, later HyperForm; - reads standard input. What
could not be carried over is said on standard error.`,
		Example: "  cloudship template import-dchq app.yml > compose.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var in io.Reader = t.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("import: %w", err)
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			compose, notes, err := template.ImportDCHQ(in)
			if err != nil {
				return fmt.Errorf("import %s: %w", args[0], err)
			}
			for _, note := range notes {
				t.warn(note)
			}
			if t.json {
				t.object("compose", args[0], map[string]any{"compose": string(compose)})
				return nil
			}
			t.print("%s", compose)
			return nil
		},
	}
}
