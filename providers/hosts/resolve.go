package hosts

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// neutral is what a neutral name of an image looks like: it is no wish of a machine that has its
// system already, but the stack file's default.
var neutral = regexp.MustCompile(`^[a-z]+-[0-9][0-9.]*$`)

// Resolve gives every server its machine: of those that its group's options name, the one with its
// number. A machine has its size, its system and its place, so that these are left out.
func (p *Provider) Resolve(_ context.Context, wants []resource.Wish) ([]resource.Resolved, error) {
	resolved := make([]resource.Resolved, 0, len(wants))
	users := map[string]resource.Address{}
	for _, w := range wants {
		want, ok := w.Spec.(*resource.ServerSpec)
		if !ok {
			return nil, &resource.Error{Kind: resource.Invalid, Address: w.Address, Message: fmt.Sprintf("provider hosts has no %s", w.Address.Kind()), Hint: "take the block out"}
		}
		spec := resource.Clone(want).(*resource.ServerSpec)
		note, err := p.resolve(w.Address, spec)
		if err != nil {
			return nil, err
		}
		id := addressIn(spec.Options)
		if other, taken := users[id]; taken {
			return nil, wrong(w.Address, "options", fmt.Sprintf("%s is %s already", id, other), "a machine is one server of a stack: name it once")
		}
		users[id] = w.Address
		resolved = append(resolved, resource.Resolved{Wish: resource.Wish{Address: w.Address, Spec: spec}, Price: resource.Price{Known: true}, Note: note})
	}
	return resolved, nil
}

func (p *Provider) resolve(a resource.Address, spec *resource.ServerSpec) (note string, err error) {
	switch {
	case spec.Size != "":
		return "", wrong(a, "size", fmt.Sprintf("size %q: a machine has the size that it has", spec.Size), "take it out, or say what is needed at least: size = { cpus = 1, memory = \"1GB\" }")
	case spec.Image != "" && !neutral.MatchString(spec.Image):
		return "", wrong(a, "image", fmt.Sprintf("image %q: a machine has its system already", spec.Image), "take it out")
	case spec.Region != "":
		return "", wrong(a, "region", fmt.Sprintf("region %q: a machine is where it is", spec.Region), "take it out")
	case !spec.Network.IsZero():
		return "", wrong(a, "network", "provider hosts has no networks", "take it out")
	}
	spec.Image, spec.ImageID = "", ""
	if id := addressIn(spec.Options); id != "" && spec.Options["hosts"] == nil {
		if m, ok := p.machine(id); ok {
			access := m.access
			spec.Access, note = &access, m.name
		}
		return note, nil // resolved before
	}
	m, err := p.choose(a, spec.Options)
	if err != nil {
		return "", err
	}
	access := m.access
	spec.Options, spec.Access = resource.Options{"address": m.id}, &access
	return m.name + ": " + m.id, nil
}

// choose finds the machine that a group's options have for one of its servers.
func (p *Provider) choose(a resource.Address, options resource.Options) (machine, error) {
	names := textsIn(options["hosts"])
	if options["hosts"] == nil && len(p.machines) == 1 {
		names = []string{p.machines[0].name}
	}
	if options["hosts"] == nil && len(names) == 0 {
		return machine{}, wrong(a, "options", fmt.Sprintf("provider %q has %d machines, and the group does not say which are its own", p.alias, len(p.machines)),
			fmt.Sprintf("say options { hosts = [%q] }", p.machines[0].name))
	}
	if a.Index >= len(names) {
		return machine{}, wrong(a, "servers", fmt.Sprintf("the group has more servers than machines: it names %d", len(names)), "add one to hosts of its options, or want fewer servers")
	}
	for _, m := range p.machines {
		if m.name == names[a.Index] {
			return m, nil
		}
	}
	var known []string
	for _, m := range p.machines {
		known = append(known, m.name)
	}
	return machine{}, wrong(a, "options", fmt.Sprintf("provider %q has no machine %q", p.alias, names[a.Index]), "its machines: "+strings.Join(known, ", "))
}

func wrong(a resource.Address, field, message, hint string) error {
	return &resource.Error{Kind: resource.Invalid, Address: a, Field: field, Message: message, Hint: hint}
}

// addressIn is the machine that a resolved spec names.
func addressIn(o resource.Options) string {
	id, _ := o["address"].(string)
	return id
}

func textsIn(v any) []string {
	var list []string
	switch v := v.(type) {
	case []string:
		list = slices.Clone(v)
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
	}
	return list
}
