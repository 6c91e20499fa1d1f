package engine

import (
	"fmt"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// oncePerMachine refuses two servers of a stack that are one machine, also by two provider blocks:
// their releases would be in each other's way.
func oncePerMachine(wants []plan.Want) error {
	servers := map[string]plan.Want{}
	for _, w := range wants {
		spec, ok := w.Spec.(*resource.ServerSpec)
		if !ok || spec.Access == nil {
			continue
		}
		if other, twice := servers[spec.Access.Address]; twice {
			return resource.WithHint(fmt.Errorf("%s: %s is %s already (%s)", w.Place, spec.Access.Address, other.Address, other.Place), "a machine is one server of a stack: name it once")
		}
		servers[spec.Access.Address] = w
	}
	return nil
}
