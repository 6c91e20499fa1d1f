package digitalocean

import (
	"fmt"

	"github.com/cloudship/cloudship/resource"
)

// serverExtras are what a server's options block says.
type serverExtras struct {
	monitoring, ipv6, backups bool
	tags                      []string
}

func serverOptions(o resource.Options) (serverExtras, error) {
	var s serverExtras
	err := read(o, map[string]func(any) error{
		"monitoring": flag(&s.monitoring),
		"ipv6":       flag(&s.ipv6),
		"backups":    flag(&s.backups),
		"tags":       texts(&s.tags),
	})
	return s, err
}

// balancerExtras are what a load balancer's options block says.
type balancerExtras struct {
	nodes     uint32
	keepalive bool
}

// mostNodes is how many nodes a load balancer can have.
const mostNodes = 100

func balancerOptions(o resource.Options) (balancerExtras, error) {
	b := balancerExtras{nodes: 1}
	err := read(o, map[string]func(any) error{
		"size_unit": func(v any) error {
			n, ok := v.(float64)
			if !ok || n != float64(int(n)) || n < 1 || n > mostNodes {
				return fmt.Errorf("want a whole number from 1 to %d", mostNodes)
			}
			b.nodes = uint32(n)
			return nil
		},
		"backend_keepalive": flag(&b.keepalive),
	})
	return b, err
}

// read gives every option to its reader; one without a reader is an error. A null is no option.
func read(o resource.Options, readers map[string]func(any) error) error {
	for name, value := range o {
		take, ok := readers[name]
		if !ok {
			return fmt.Errorf("digitalocean has no option %q here%s", name, suggest(name, names(readers)))
		}
		if value == nil {
			continue
		}
		if err := take(value); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
	}
	return nil
}

func flag(into *bool) func(any) error {
	return func(v any) (err error) {
		var ok bool
		if *into, ok = v.(bool); !ok {
			return fmt.Errorf("want true or false")
		}
		return nil
	}
}

func texts(into *[]string) func(any) error {
	return func(v any) error {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("want a list of texts")
		}
		for _, element := range list {
			s, ok := element.(string)
			if !ok {
				return fmt.Errorf("want a list of texts")
			}
			*into = append(*into, s)
		}
		return nil
	}
}
