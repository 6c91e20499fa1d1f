package plugins_test

import (
	"context"
	"fmt"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// nimbus is a provider; the rest of resource.Provider is left to the embedded one.
type nimbus struct{ resource.Provider }

func (nimbus) Schema(context.Context) (resource.Schema, error) {
	return resource.Schema{Name: "nimbus", Kinds: []resource.Kind{resource.KindServer}, Credentials: []string{"NIMBUS_TOKEN"}}, nil
}

// The whole main of cloudship-provider-nimbus. Started by a person it says that it is a plugin;
// started by cloudship it serves until its parent leaves.
func ExampleServe() {
	main := func() { plugins.Serve(nimbus{}) }
	_ = main
}

// Built-in providers are served by the program itself: its main begins with ServeIfAsked, which
// does nothing unless the process was started as a plugin.
func ExampleBuiltIn() {
	builtIn := plugins.BuiltIn{"nimbus": func() resource.Provider { return nimbus{} }}
	builtIn.ServeIfAsked()
	fmt.Println(builtIn.Names())
	// Output: [nimbus]
}
