package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Values are the values of all variables, with their types, for a later Load with Options.Values. Some
// of them are secret.
func (s *Stack) Values() (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(s.scope.variables)) {
		bare, _ := s.scope.variables[name].UnmarkDeep()
		b, err := ctyjson.Marshal(bare, cty.DynamicPseudoType)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		all[name] = b
	}
	return all, nil
}

// restore reads values as Values gave them. A variable that there is no longer is left out.
func (l *loader) restore(values map[string]given, saved map[string]json.RawMessage) {
	declared := l.root.labels("variable")
	for _, name := range slices.Sorted(maps.Keys(saved)) {
		if !slices.Contains(declared, name) {
			continue
		}
		at := outside("the saved value of " + name)
		v, err := ctyjson.Unmarshal(saved[name], cty.DynamicPseudoType)
		if err != nil {
			l.report(fault(at, "it cannot be read", err.Error(), ""))
			continue
		}
		values[name] = given{value: v, at: at}
	}
}
