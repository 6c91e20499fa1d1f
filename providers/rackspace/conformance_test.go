package rackspace_test

import (
	"testing"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/plugins/conformance"
	"github.com/cloudship/cloudship/resource"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t *testing.T) conformance.Subject {
		l := startCloud(t)
		return conformance.Subject{
			Source: source(t, environment(l)),
			Config: resource.Config{Alias: "rackspace"},
			SSHKey: &resource.SSHKeySpec{PublicKey: publicKey},
			Server: &resource.ServerSpec{Need: &resource.Need{CPUs: 1, MemoryMB: 512}, Image: "debian-12"},
			Balancer: &resource.LoadBalancerSpec{Listeners: []resource.Listener{{Name: "web", Protocol: "http", Port: 80}},
				HealthCheck: resource.HealthCheck{Interval: 1, Timeout: 1, Unhealthy: 1}, Options: resource.Options{"drain": 0}},
			Lab: l.URL(lab.DigitalOcean),
			Creates: map[resource.Kind]string{resource.KindServer: "POST /rackspace/*/servers/v2/*/servers", resource.KindSSHKey: "POST /rackspace/*/servers/v2/*/os-keypairs",
				resource.KindLoadBalancer: "POST /rackspace/*/loadbalancers/v1.0/*/loadbalancers"},
		}
	})
}
