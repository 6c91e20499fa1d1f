package template

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Lint reads a template and says what is wrong with it and what is doubtful: all of it, also when
// there is no error. It needs neither images nor a key. The error is of what hindered the reading.
func Lint(ctx context.Context, o Options) (Diagnostics, error) {
	t, err := Load(ctx, o)
	var found Diagnostics
	switch {
	case errors.As(err, &found):
		return found, nil
	case err != nil:
		return nil, err
	}
	return t.warnings, nil
}

// Outline writes what a release will run, for a reader: services in the order in which they come
// up, what each is made from, how it is checked and renewed, and which hooks run when.
func (r *Release) Outline(w io.Writer) error {
	order, err := r.Order()
	if err != nil {
		return err
	}
	p := &outline{w: w}
	for i, name := range order {
		if i > 0 {
			p.line("")
		}
		p.service(r, name)
	}
	for _, name := range sortedKeys(r.Volumes) {
		v := r.Volumes[name]
		words := []string{string(v.Stateful)}
		if v.External {
			words = append(words, "external")
		}
		if v.PerServer {
			words = append(words, "on each server its own")
		}
		p.line("\nvolume %s (%s): %s", name, v.Name, join(words))
	}
	return p.err
}

type outline struct {
	w   io.Writer
	err error
}

func (p *outline) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *outline) row(label, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		p.line("  %-12s %s", label, text)
	}
}

func join(words []string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

func (p *outline) service(r *Release, name string) {
	s := r.Services[name]
	count := strconv.Itoa(s.Replicas) + " on each server"
	switch {
	case s.Global:
		count = "one on each server"
	case len(s.Host) > 0:
		count = strconv.Itoa(s.Replicas) + " on server " + strings.Join(s.Host, ", ") + " of the group"
	}
	p.line("%s: %s", name, count)
	p.row("image", "%s", s.Image.Reference())
	p.row("command", "%s", words(s.Command))
	p.row("needs", "%s", strings.Join(r.Needs(name), ", "))
	var ports []string
	for _, port := range s.Ports {
		ports = append(ports, port.String())
	}
	if s.PublishAll {
		ports = append(ports, "all that the image exposes, on random host ports")
	}
	p.row("ports", "%s", strings.Join(ports, ", "))
	for _, key := range sortedKeys(s.Environment) {
		p.row("environment", "%s=%s", key, s.Environment[key].shown())
	}
	for _, f := range s.Files {
		p.row("file", "%s", join([]string{f.Path, fmt.Sprintf("mode %04o", f.Mode), when(f.Secret, "secret"), when(f.Bound, "rendered on each host")}))
	}
	for _, m := range s.Mounts {
		p.row("mount", "%s", join([]string{strings.Join(strings.Fields(string(m.Type)+" "+m.Source+" "+m.Target), " "), when(m.ReadOnly, "read-only"), when(len(m.Tree) > 0, fmt.Sprintf("%d files uploaded", len(m.Tree)))}))
	}
	p.row("checked by", "%s", checks(s))
	update := StartFirst
	if why := r.StopFirst(name); why != "" {
		update = StopFirst + ": " + why
	}
	p.row("renewed", "%s", update)
	for _, h := range s.Hooks {
		p.hook(h)
	}
	if s.Drain != nil {
		p.row("drained by", "%s", s.Drain.Start.code())
	}
}

func (p *outline) hook(h Hook) {
	var events, args []string
	for _, e := range h.On {
		events = append(events, e.String())
	}
	for _, a := range h.Args {
		args = append(args, strings.TrimPrefix(a.Name+"="+a.Value.shown(), "="))
	}
	p.row("hook", "%s", join([]string{h.Name + " on " + strings.Join(events, ", "), h.Where.shown(), "within " + time.Duration(h.Timeout).String(), when(h.Restart, "then restart"), when(h.Reload != "", "then "+h.Reload)}))
	p.row("", "  %s", h.code())
	for _, a := range args {
		p.row("", "  with %s", a)
	}
}

func (w Where) shown() string {
	switch w {
	case OnHost:
		return "on the server"
	case OneOff:
		return "in a container of its own"
	}
	if stack, service, is := w.Neighbour(); is {
		return "in " + service + " of stack " + stack
	}
	return "in the container"
}

func when(is bool, word string) string {
	if is {
		return word
	}
	return ""
}

// code is what a hook runs, in a line.
func (h *Hook) code() string {
	if h == nil {
		return ""
	}
	if len(h.Command) > 0 {
		return words(h.Command)
	}
	if lines := strings.Count(strings.TrimRight(string(h.Script), "\n"), "\n") + 1; lines > 1 {
		return fmt.Sprintf("a script of %d lines", lines)
	}
	return strings.TrimSpace(h.Script.shown())
}

func words(list []Text) string {
	var out []string
	for _, t := range list {
		word := t.shown()
		if word == "" || strings.ContainsAny(word, " \t\n\"'") {
			word = strconv.Quote(word)
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

// shown is a text for a reader, with secrets as such.
func (t Text) shown() string { return secretPattern.ReplaceAllString(string(t), "(secret)") }

// String is the port as Compose writes it.
func (p Port) String() string {
	text := fmt.Sprintf("%d/%s", p.Target, p.Protocol)
	switch {
	case p.To != 0:
		text = fmt.Sprintf("%d-%d:%s", p.Published, p.To, text)
	case p.Published != 0:
		text = fmt.Sprintf("%d:%s", p.Published, text)
	default:
		text = "random:" + text
	}
	if p.HostIP != "" {
		text = p.HostIP + ":" + text
	}
	return text
}

func checks(s Service) string {
	var by []string
	switch h := s.Healthcheck; {
	case h.Disabled():
		by = append(by, "image's healthcheck is off")
	case h != nil:
		by = append(by, "healthcheck "+words(h.Test))
	}
	switch p := s.Probe; {
	case p == nil:
	case p.HTTP != nil:
		by = append(by, fmt.Sprintf("probe http :%d%s", p.HTTP.Port, p.HTTP.Path))
	case p.TCP != 0:
		by = append(by, fmt.Sprintf("probe tcp :%d", p.TCP))
	default:
		by = append(by, "probe "+words(p.Command))
	}
	return strings.Join(by, ", ")
}
