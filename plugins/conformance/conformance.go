// Package conformance proves a provider: it runs it through its real plugin process against an
// endpoint, and holds it to what package resource says of every method. A provider joins with one
// test of a few lines; providers/digitalocean has the model.
//
// The endpoint may be a cloud itself, where it costs money, or cloudship's lab. Where the endpoint
// takes faults on demand as the lab does, the suite also loses answers, refuses, delays and
// interrupts.
package conformance

import (
	"testing"
	"time"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// Subject is a provider to be proven, and what to prove it with.
type Subject struct {
	// Source starts its process. LookupEnv holds credentials that are good.
	Source plugins.Source
	Config resource.Config

	// Specs as the stack file would have them, before Resolve, for every kind of the schema. What
	// they name, the suite makes first: a server's keys and network, members' balancer and servers.
	SSHKey   *resource.SSHKeySpec
	Network  *resource.NetworkSpec
	Server   *resource.ServerSpec
	Firewall *resource.FirewallSpec
	Balancer *resource.LoadBalancerSpec

	// Lab is the base URL of an endpoint that takes faults at /_lab/faults; empty for a real
	// cloud, and what needs faults is then left out.
	Lab string
	// Creates tells for each kind which request creates it: "POST /v2/droplets". For faults.
	Creates map[resource.Kind]string

	// Patience is how long something may take to become ready or to be gone; 0: a minute.
	Patience time.Duration
}

// Run runs the whole suite. open gives every test a subject of its own; it may give all of them
// the same endpoint, since every test uses a stack of its own.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, test := range []struct {
		name   string
		faults bool
		run    func(*suite)
	}{
		{"schema is told before anything is configured", false, schema},
		{"missing credentials are told with a hint", false, missingCredentials},
		{"catalogue has sizes with prices, regions and images", false, catalogue},
		{"resolving twice is resolving once", false, resolveTwice},
		{"unknown names are refused with the nearest", false, unknownNames},
		{"every kind lives and dies", false, lives},
		{"batch answers for each of its items", false, batch},
		{"stacks do not see each other", false, strangers},
		{"two with one mark are both listed", false, twins},
		{"calls may be concurrent", false, concurrent},
		{"members are changed and nothing else", false, membership},
		{"balancer's update keeps its members", false, updateKeepsMembers},
		{"many are deleted by tag, and no others", false, deleteByTag},
		{"lost answer of a create is ambiguous", true, lostAnswers},
		{"refused create leaves nothing", true, refusedCreate},
		{"rate limit is waited out", true, rateLimit},
		{"cancelled create is ambiguous and over at once", true, cancelled},
		{"killed plugin's create is found by its mark", true, killed},
		{"what is new is not taken for gone", true, newIsNotGone},
		{"failing reads are unavailable", true, failingReads},
	} {
		t.Run(test.name, func(t *testing.T) {
			subject := open(t)
			if test.faults && subject.Lab == "" {
				t.Logf("left out: the endpoint takes no faults")
				return
			}
			test.run(newSuite(t, subject))
		})
	}
}
