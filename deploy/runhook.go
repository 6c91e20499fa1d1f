package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// RunHook runs a hook of what stands on a server once more, by its name, with values in place of
// those of its named arguments. In a container it runs in every one of the service, or with a hook
// of the service as a whole in its first. What it prints goes to say. It reports false where
// the server runs no container of the service.
func (d *Driver) RunHook(ctx context.Context, server resource.Found, enrolled bool, secrets map[string]string, service, name string, values map[string]string, say func(string)) (bool, error) {
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return false, err
	}
	r, err := d.hosts.standing(ctx, host, server, secrets, say)
	if err != nil || r == nil {
		return false, err
	}
	defer func() { _ = r.engine.Close() }()
	return r.runNamed(ctx, service, name, values)
}

// runNamed runs a hook by its name; it reports false where no container of the service stands.
func (r *rollout) runNamed(ctx context.Context, service, name string, values map[string]string) (bool, error) {
	hook, err := hookNamed(r.release, service, name)
	if err != nil {
		return false, err
	}
	if err := replaceArguments(hook, values); err != nil {
		return false, fmt.Errorf("hook %s of %s: %w", name, service, err)
	}
	for _, one := range r.live[service] {
		if err := r.hook(ctx, service, one.id, *hook); err != nil {
			return true, fmt.Errorf("hook %s of %s: %w", name, service, err)
		}
		if !hook.PerReplica && hook.Where != template.InContainer {
			break
		}
	}
	return len(r.live[service]) > 0, nil
}

// hookNamed finds a hook, and names those that there are where there is none of the name.
func hookNamed(r *template.Release, service, name string) (*template.Hook, error) {
	s, ok := r.Services[service]
	if !ok {
		return nil, fmt.Errorf("the release has no service %q", service)
	}
	var names []string
	for _, h := range s.Hooks {
		if h.Name == name {
			h.Args = slices.Clone(h.Args)
			return &h, nil
		}
		names = append(names, h.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("service %s has no hooks", service)
	}
	return nil, fmt.Errorf("service %s has no hook %q, but %s", service, name, strings.Join(names, ", "))
}

// replaceArguments sets named arguments of a hook. One that it does not have is an error: it would
// go unnoticed.
func replaceArguments(h *template.Hook, values map[string]string) error {
	for name, value := range values {
		i := slices.IndexFunc(h.Args, func(a template.Argument) bool { return a.Name == name })
		if i < 0 {
			return fmt.Errorf("it has no argument %q", name)
		}
		h.Args[i].Value = template.Text(value)
	}
	return nil
}
