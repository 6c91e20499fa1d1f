package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// Validate reads the stack file and every template, and asks nobody: no cloud, no server, no
// registry, no Docker engine. It gives all that is to be said about the templates; an error of the
// stack file is a *DiagnosticsError.
func Validate(ctx context.Context, o Options) (*stack.Stack, template.Diagnostics, error) {
	s, err := Load(o)
	if err != nil {
		return nil, nil, err
	}
	var all template.Diagnostics
	for _, t := range s.Templates {
		options, err := TemplateOptions(s, t)
		if err != nil {
			return s, all, err
		}
		found, err := template.Lint(ctx, options)
		if err != nil {
			return s, all, fmt.Errorf("template %s: %w", t.Name, err)
		}
		all = append(all, found...)
		more, err := unfit(ctx, s, t, options)
		if err != nil {
			return s, all, err
		}
		all = append(all, more...)
	}
	return s, all, nil
}

// unfit says what keeps a template from running on the servers of its groups.
func unfit(ctx context.Context, s *stack.Stack, t *stack.Template, o template.Options) (template.Diagnostics, error) {
	rendered, err := template.Render(ctx, o)
	var known template.Diagnostics
	if errors.As(err, &known) {
		return nil, nil // Lint has said it
	}
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", t.Name, err)
	}
	var all template.Diagnostics
	for _, err := range misfits(s, t, rendered.Release) {
		d := &template.Diagnostic{Severity: template.SeverityError, Message: err.Error(), Hint: resource.HintOf(err)}
		all = append(all, d)
	}
	return all, nil
}

// placeholder stands for what is found only by apply, where a template is read without it.
const placeholder = "192.0.2.1"

// TemplateOptions says how a template is read without a key, without images and without facts.
func TemplateOptions(s *stack.Stack, t *stack.Template) (template.Options, error) {
	values, diags := s.Inputs(t.Name, stack.Facts{})
	if diags.HasErrors() {
		return template.Options{}, newDiagnosticsError(s, diags)
	}
	inputs := map[string]template.Input{}
	for name, v := range values {
		text := v.Text
		if len(v.Late) > 0 {
			text = placeholder
		}
		inputs[name] = template.Input{Value: text, Sensitive: v.Sensitive}
	}
	return template.Options{Name: t.Name, Dir: s.Dir, Compose: t.Compose, Project: s.Name, Inputs: inputs, Profiles: t.Profiles}, nil
}
