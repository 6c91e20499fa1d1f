package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// exit says what went wrong and gives the exit code.
func (t *terminal) exit(ctx context.Context, err error) int {
	code := codeOf(ctx, err)
	if err == nil || silent(err) {
		return code
	}
	var interrupted *interruptedError
	if errors.As(context.Cause(ctx), &interrupted) && (errors.Is(err, context.Canceled) || errors.As(err, &interrupted)) {
		err = interrupted // and not the many places at which that was noticed
	}
	t.fail(err, code)
	return code
}

// silent reports whether all was said about an error already.
func silent(err error) bool {
	var own *codeError
	return errors.As(err, &own) && own.err == nil
}

// fail tells an error and what to do next: each of several that came together by itself.
func (t *terminal) fail(err error, code int) {
	for _, one := range apart(err) {
		var file *engine.DiagnosticsError
		var found template.Diagnostics
		var doubt *template.Diagnostic
		switch {
		case errors.As(one, &file):
			t.failFile(file, code)
		case errors.As(one, &found):
			for _, d := range found {
				t.diagnostic(string(d.Severity), d.Place.String(), d.Text(), d.Hint, code)
			}
		case errors.As(one, &doubt) && doubt.Place.File != "":
			t.diagnostic(string(doubt.Severity), doubt.Place.String(), doubt.Text(), doubt.Hint, code)
		default:
			text, hint := one.Error(), hintOf(one)
			if hint != "" && !t.json {
				text += "\nhint: " + hint
			}
			t.diagnostic("error", "", text, hint, code)
		}
	}
}

// failFile tells what is wrong with the stack file.
func (t *terminal) failFile(e *engine.DiagnosticsError, code int) {
	if !t.json {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.wipe()
		_ = e.Print(t.err, t.colorErr)
		return
	}
	for _, d := range e.Diagnostics {
		severity, hint := "error", ""
		if d.Severity == hcl.DiagWarning {
			severity = "warning"
		}
		if h, ok := d.Extra.(stack.Hint); ok {
			hint = string(h)
		}
		place := ""
		if d.Subject != nil {
			place = fmt.Sprintf("%s:%d:%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		t.diagnostic(severity, place, strings.TrimRight(d.Summary+"; "+d.Detail, "; "), hint, code)
	}
}

// diagnostic tells one thing that is wrong or doubtful. The text has the place and the hint in it
// already, except in a stream.
func (t *terminal) diagnostic(severity, place, text, hint string, code int) {
	if !t.json {
		first, rest, more := strings.Cut(text, "\n")
		t.line(severity, severity+": "+first, nil)
		if more {
			t.line(severity, rest, nil)
		}
		return
	}
	fields := map[string]any{"type": "diagnostic", "severity": severity}
	for name, value := range map[string]string{"place": place, "hint": hint} {
		if value != "" {
			fields[name] = value
		}
	}
	if severity == "error" {
		fields["exit_code"] = code
	}
	level := map[string]string{"warning": "warn"}[severity]
	t.line(or(level, severity), text, fields)
}

// apart takes errors that came together apart, as long as nothing was said about the whole.
func apart(err error) []error {
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var texts []string
	for _, one := range list.Unwrap() {
		texts = append(texts, one.Error())
	}
	if err.Error() != strings.Join(texts, "\n") {
		return []error{err}
	}
	var all []error
	for _, one := range list.Unwrap() {
		all = append(all, apart(one)...)
	}
	return all
}

// hintOf finds what to do next in an error's chain.
func hintOf(err error) string {
	if hint := resource.HintOf(err); hint != "" {
		return hint
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
