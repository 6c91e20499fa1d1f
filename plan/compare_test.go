package plan

import (
	"slices"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

func TestCompare(t *testing.T) {
	server := func(size, region string) *resource.ServerSpec {
		return &resource.ServerSpec{Size: size, Region: region}
	}
	lb := func(idle int) *resource.LoadBalancerSpec { return &resource.LoadBalancerSpec{IdleTimeout: idle} }
	group := func(i int) resource.Address { return resource.Server("blue", i) }
	for _, c := range []struct {
		name   string
		want   resource.Spec
		last   resource.Spec // what it was last brought to
		found  resource.Spec
		seen   []string
		schema resource.Schema
		fields []string // that differ
		fixed  bool
		asked  []string // by the files
		drift  []string
	}{
		{name: "nothing is known", want: server("large", "ams3")},
		{name: "as it was", want: server("small", ""), last: server("small", "")},
		{name: "the file changed", want: server("large", ""), last: server("small", ""), fields: []string{"size"}, fixed: true, asked: []string{"size"}},
		{name: "the file changed, the cloud agrees", want: server("large", ""), last: server("small", ""), found: server("large", ""), seen: []string{"size"}, drift: []string{"size"}},
		{name: "drift", want: server("small", ""), last: server("small", ""), found: server("large", ""), seen: []string{"size"}, fields: []string{"size"}, fixed: true, drift: []string{"size"}},
		{name: "not seen is not unset", want: server("small", ""), last: server("small", ""), found: server("", ""), seen: []string{"region"}},
		{name: "found without memory", want: server("large", ""), found: server("small", ""), seen: []string{"size"}, fields: []string{"size"}, fixed: true, asked: []string{"size"}},
		{name: "left to the provider", want: server("small", ""), last: server("small", ""), found: server("small", "ams3"), seen: []string{"size", "region"}},
		{name: "taken out of the file", want: server("small", ""), last: server("small", "ams3"), found: server("small", "ams3"), seen: []string{"size", "region"}, fields: []string{"region"}, fixed: true, asked: []string{"region"}},
		{name: "changed in place", want: lb(30), last: lb(60), fields: []string{"idle_timeout"}, asked: []string{"idle_timeout"}},
		{name: "fixed at this provider", want: lb(30), last: lb(60), schema: resource.Schema{Fixed: map[resource.Kind][]string{resource.KindLoadBalancer: {"idle_timeout"}}},
			fields: []string{"idle_timeout"}, fixed: true, asked: []string{"idle_timeout"}},
		{name: "changeable at this provider", want: server("large", ""), last: server("small", ""), schema: resource.Schema{Changeable: map[resource.Kind][]string{resource.KindServer: {"size"}}},
			fields: []string{"size"}, asked: []string{"size"}},
		{name: "unset in place", want: lb(0), last: lb(60), found: lb(60), seen: []string{"idle_timeout"}, fields: []string{"idle_timeout"}, asked: []string{"idle_timeout"}},
		{name: "memo and initial are not compared", want: &resource.ServerSpec{Need: &resource.Need{CPUs: 2}, Keys: []resource.Address{group(0)}}, last: &resource.ServerSpec{ImageID: "7"}},
		{name: "the order of members means nothing", want: &resource.MembersSpec{Servers: []resource.Address{group(0), group(1)}},
			last: &resource.MembersSpec{}, found: &resource.MembersSpec{Servers: []resource.Address{group(1), group(0)}}, seen: []string{"servers"}, drift: []string{"servers"}},
		{name: "the order of rules means nothing",
			want:  &resource.FirewallSpec{Inbound: []resource.FirewallRule{{Protocol: "tcp", Ports: "22", Addresses: []string{"a", "b"}}, {Protocol: "udp"}}},
			found: &resource.FirewallSpec{Inbound: []resource.FirewallRule{{Protocol: "udp"}, {Protocol: "tcp", Ports: "22", Addresses: []string{"b", "a"}}}}, seen: []string{"inbound"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compare(c.want, resource.Record{Found: resource.Found{Spec: c.found, Observed: c.seen}, Want: c.last}, c.schema)
			var drift []string
			for _, f := range d.drift {
				drift = append(drift, f.Name)
			}
			if !slices.Equal(d.names(), c.fields) || d.fixed() != c.fixed || !slices.Equal(d.asked, c.asked) || !slices.Equal(drift, c.drift) {
				t.Errorf("fields %v, fixed %v, asked %v, drift %v", d.names(), d.fixed(), d.asked, drift)
			}
		})
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":[2,1],"a":null}`, `[[3,1],[2]]`, `"x"`, `{`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once := canonical(raw)
		if twice := canonical(once); !same(once, twice) || string(once) != string(twice) {
			t.Errorf("%q: %q, then %q", raw, once, twice)
		}
	})
}
