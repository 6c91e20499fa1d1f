package hosts_test

import (
	"testing"

	"github.com/cloudship/cloudship/plugins/conformance"
	"github.com/cloudship/cloudship/resource"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Subject {
		r := newRack(t, 8)
		return conformance.Subject{
			Source: r.source(),
			Config: resource.Config{Alias: "mine", Values: r.values},
			Server: &resource.ServerSpec{Image: "debian-12", Options: resource.Options{"hosts": r.names()}},
		}
	})
}
