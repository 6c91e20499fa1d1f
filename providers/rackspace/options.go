package rackspace

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// lbExtras are what a load balancer's options block says.
type lbExtras struct {
	algorithm string
	standby   string
	drain     int // seconds
}

const (
	defaultAlgorithm = "ROUND_ROBIN"
	attached         = "attached"
	// defaultDrain is how long a server that leaves has for its open requests.
	defaultDrain = 10
	longestDrain = 3600
)

// algorithms are those that need no weights.
var algorithms = []string{"LEAST_CONNECTIONS", "RANDOM", "ROUND_ROBIN"}

func balancerOptions(o resource.Options) (lbExtras, error) {
	x := lbExtras{algorithm: defaultAlgorithm, drain: defaultDrain}
	readers := map[string]func(any) error{
		"algorithm": func(v any) error {
			text, _ := v.(string)
			x.algorithm = strings.ToUpper(text)
			if !slices.Contains(algorithms, x.algorithm) {
				return fmt.Errorf("want one of %s%s", strings.Join(algorithms, ", "), suggest(x.algorithm, algorithms))
			}
			return nil
		},
		"standby": func(v any) error {
			if x.standby, _ = v.(string); x.standby != attached {
				return fmt.Errorf("want %q, or nothing", attached)
			}
			return nil
		},
		"drain": func(v any) error {
			n, ok := v.(float64)
			if whole, is := v.(int); is {
				n, ok = float64(whole), true
			}
			if !ok || n != float64(int(n)) || n < 0 || n > longestDrain {
				return fmt.Errorf("want a whole number of seconds from 0 to %d", longestDrain)
			}
			x.drain = int(n)
			return nil
		},
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		read, ok := readers[name]
		if !ok {
			return x, fmt.Errorf("rackspace has no option %q here%s", name, suggest(name, slices.Sorted(maps.Keys(readers))))
		}
		if o[name] == nil {
			continue
		}
		if err := read(o[name]); err != nil {
			return x, fmt.Errorf("option %s: %w", name, err)
		}
	}
	return x, nil
}

// canonical are the options in the one form in which they are compared: what is as by default is
// left out.
func (x lbExtras) canonical() resource.Options {
	o := resource.Options{}
	if x.algorithm != defaultAlgorithm {
		o["algorithm"] = x.algorithm
	}
	if x.standby != "" {
		o["standby"] = x.standby
	}
	if x.drain != defaultDrain {
		o["drain"] = float64(x.drain)
	}
	if len(o) == 0 {
		return nil
	}
	return o
}

// extras are the options as a balancer has them.
func (lb *lbView) extras() lbExtras {
	x := lbExtras{algorithm: lb.Algorithm, standby: lb.note(standbyKey), drain: defaultDrain}
	if n, err := strconv.Atoi(lb.note(drainKey)); err == nil {
		x.drain = n
	}
	return x
}
