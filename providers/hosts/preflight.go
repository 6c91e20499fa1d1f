package hosts

import (
	"context"
	"fmt"
	"sync"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// Preflight reaches every machine that is to be taken: whether it answers with its key and lets us
// in, whether we are root there, and whether it is as large as the group needs.
func (p *Provider) Preflight(ctx context.Context, f resource.Forecast) []error {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		errs []error
		held = map[string]resource.Address{} // machine to the server of this stack that it is now
	)
	note := func(a resource.Address, err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, final(err, a))
		}
	}
	for _, w := range f.Create {
		spec, ok := w.Spec.(*resource.ServerSpec)
		if !ok {
			continue
		}
		m, ok := p.machine(addressIn(spec.Options))
		if !ok {
			note(w.Address, wrong(w.Address, "options", fmt.Sprintf("%q is no machine of provider %q", addressIn(spec.Options), p.alias), ""))
			continue
		}
		wait.Go(func() {
			have, err := p.ready(ctx, f.Stack, m, spec.Need)
			note(w.Address, err)
			if have != nil {
				mu.Lock()
				defer mu.Unlock()
				held[m.id] = have.Mark.Address
			}
		})
	}
	wait.Wait()
	if err := swapped(f.Create, held); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// ready tells whether a machine can be taken, and the stack's mark on it.
func (p *Provider) ready(ctx context.Context, stack resource.StackID, m machine, need *resource.Need) (*taken, error) {
	host, err := p.reach(ctx, m)
	if err != nil {
		return nil, err
	}
	if _, err := host.Run(ctx, remote.Argv("true").AsRoot()); err != nil {
		return nil, &resource.Error{Kind: resource.Unauthorized, Message: fmt.Sprintf("machine %s: %s is not root and may not sudo without a password: %v", m.name, m.access.User, err),
			Hint: "log in as root, or let the user sudo: 'NAME ALL=(ALL) NOPASSWD: ALL' in /etc/sudoers.d"}
	}
	if need != nil {
		if err := large(ctx, host, m, *need); err != nil {
			return nil, err
		}
	}
	return markOf(ctx, host, stack)
}

// large tells whether a machine is as large as it must be. Machines have a little less memory than
// is sold: the kernel keeps some for itself.
func large(ctx context.Context, host *remote.Host, m machine, need resource.Need) error {
	facts, err := host.Facts(ctx)
	if err != nil {
		return err
	}
	memory := int(facts.Memory >> 20)
	if facts.CPUs < need.CPUs || memory < need.MemoryMB-need.MemoryMB/8 {
		return &resource.Error{Kind: resource.Invalid, Field: "size",
			Message: fmt.Sprintf("machine %s has %d CPUs and %d MB of memory, %d and %d are wanted", m.name, facts.CPUs, memory, need.CPUs, need.MemoryMB),
			Hint:    "take another machine, or want less"}
	}
	return nil
}

// swapped finds servers that wait for each other's machines for ever.
func swapped(creates []resource.Wish, held map[string]resource.Address) error {
	wants := map[resource.Address]string{}
	for _, w := range creates {
		if spec, ok := w.Spec.(*resource.ServerSpec); ok {
			wants[w.Address] = addressIn(spec.Options)
		}
	}
	for _, w := range creates {
		a := w.Address
		for range creates {
			holder, ok := held[wants[a]]
			if !ok || holder == a || wants[holder] == "" {
				break
			}
			if a = holder; a == w.Address {
				return wrong(a, "options", "machines change places between servers that each wait for the other's", "keep the order of hosts: what is added comes at the end")
			}
		}
	}
	return nil
}
