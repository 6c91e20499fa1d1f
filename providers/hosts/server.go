package hosts

import (
	"context"
	"fmt"

	"github.com/cloudship/cloudship/resource"
)

// take makes a machine a server of the stack: it puts the mark there. What the stack has there
// under another address is on its way out, and is waited for.
func (p *Provider) take(ctx context.Context, c resource.Call, item resource.Item) (*resource.Found, error) {
	a := item.Mark.Address
	spec, ok := item.Spec.(*resource.ServerSpec)
	if !ok {
		return nil, invalid("", fmt.Sprintf("provider hosts has no %s", a.Kind()), "")
	}
	m, ok := p.machine(addressIn(spec.Options))
	if !ok {
		return nil, invalid("options", fmt.Sprintf("%q is no machine of provider %q", addressIn(spec.Options), p.alias), "plan again")
	}
	c.Say(a, "taking machine "+m.name)
	host, err := p.reach(ctx, m)
	if err != nil {
		return nil, err
	}
	have, err := markOf(ctx, host, c.Stack)
	if err != nil {
		return nil, err
	}
	if have != nil && have.Mark.Address != a {
		return nil, &resource.Error{Kind: resource.Busy, Op: "take machine " + m.name, Address: a, Message: fmt.Sprintf("it is still %s", have.Mark.Address)}
	}
	t, err := write(ctx, host, item.Mark)
	if err != nil {
		return nil, err
	}
	found := p.found(m, t)
	return &found, nil
}

// letGo takes away what the stack has on a machine, its volumes aside, and the mark last. A machine
// that the block does not name any more is forgotten as it stands.
func (p *Provider) letGo(ctx context.Context, c resource.Call, item resource.Item) error {
	a := item.Mark.Address
	if item.Have == nil {
		return nil
	}
	m, ok := p.machine(item.Have.ID)
	if !ok {
		return nil
	}
	host, err := p.reach(ctx, m)
	if err != nil {
		return err
	}
	have, err := markOf(ctx, host, item.Mark.Stack)
	if err != nil || have == nil || have.Mark != item.Mark {
		return err // let go before, or taken again since
	}
	if err := sweep(ctx, host, item.Mark.Stack, func(line string) { c.Say(a, line) }); err != nil {
		return err
	}
	return forget(ctx, host, item.Mark.Stack)
}

// Read looks at one machine.
func (p *Provider) Read(ctx context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	a := have.Mark.Address
	gone := &resource.Error{Kind: resource.Gone, Op: "read", Address: a, Message: "the machine does not bear its mark"}
	m, ok := p.machine(have.ID)
	if !ok {
		gone.Message = fmt.Sprintf("%s is no machine of provider %q any more", have.ID, p.alias)
		return have, gone
	}
	host, err := p.reach(ctx, m)
	if err != nil {
		return have, fault(err, a)
	}
	t, err := markOf(ctx, host, have.Mark.Stack)
	if err != nil {
		return have, fault(err, a)
	}
	if t == nil || t.Mark != have.Mark {
		return have, gone
	}
	return p.found(m, *t), nil
}
