package digitalocean_test

import (
	"testing"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/plugins/conformance"
	"github.com/cloudship/cloudship/resource"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Subject {
		l := startCloud(t)
		return conformance.Subject{
			Source:   source(t, environment(l)),
			Config:   resource.Config{Alias: "digitalocean", Values: map[string]any{"region": "fra1"}},
			SSHKey:   &resource.SSHKeySpec{PublicKey: publicKey},
			Network:  &resource.NetworkSpec{},
			Server:   &resource.ServerSpec{Need: &resource.Need{CPUs: 1, MemoryMB: 512}, Image: "debian-12"},
			Firewall: &resource.FirewallSpec{Inbound: []resource.FirewallRule{{Protocol: "tcp", Ports: "22"}}, Outbound: []resource.FirewallRule{{Protocol: "icmp"}}},
			Balancer: &resource.LoadBalancerSpec{Listeners: []resource.Listener{{Name: "web", Protocol: "http", Port: 80}}},
			Lab:      l.URL(lab.DigitalOcean),
			Creates: map[resource.Kind]string{resource.KindServer: "POST /v2/droplets", resource.KindLoadBalancer: "POST /v2/load_balancers",
				resource.KindSSHKey: "POST /v2/account/keys", resource.KindNetwork: "POST /v2/vpcs", resource.KindFirewall: "POST /v2/firewalls"},
		}
	})
}
