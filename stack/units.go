package stack

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// whole reads a whole number.
func whole(v cty.Value) (int, bool) {
	bare, _ := v.Unmark()
	n, err := convert.Convert(bare, cty.Number)
	if err != nil || n.IsNull() || !n.IsKnown() {
		return 0, false
	}
	i, accuracy := n.AsBigFloat().Int64()
	if accuracy != 0 || i > math.MaxInt32 || i < math.MinInt32 {
		return 0, false
	}
	return int(i), true
}

// days is a duration that is counted in days.
var days = regexp.MustCompile(`^([0-9]{1,5})d$`)

// seconds reads a duration: "90s", "2m", "1h30m", "14d", or a number of seconds.
func seconds(v cty.Value) (time.Duration, bool) {
	bare, _ := v.Unmark()
	if bare.IsNull() || !bare.IsKnown() {
		return 0, false
	}
	if n, ok := whole(bare); ok {
		return time.Duration(n) * time.Second, n >= 0
	}
	if bare.Type() != cty.String {
		return 0, false
	}
	said := strings.ReplaceAll(bare.AsString(), " ", "")
	if m := days.FindStringSubmatch(said); m != nil {
		n, _ := strconv.Atoi(m[1])
		return time.Duration(n) * 24 * time.Hour, true
	}
	d, err := time.ParseDuration(said)
	return d, err == nil && d >= 0
}

var amount = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?$`)

// Megabytes reads an amount of memory or disk: "4GB", "512MB", "1.5 GB", "2G". A GB has 1024 MB.
func Megabytes(s string) (int, error) {
	m := amount.FindStringSubmatch(strings.ToUpper(strings.TrimSpace(s)))
	if m == nil || m[2] == "K" || m[2] == "" {
		return 0, fmt.Errorf("%q is no amount of memory: want a number with MB, GB or TB", s)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	mb := n * map[string]float64{"M": 1, "G": 1024, "T": 1024 * 1024}[m[2]]
	if err != nil || mb < 1 || mb > 1<<30 || mb != math.Trunc(mb) {
		return 0, fmt.Errorf("%q is no amount of memory: want whole megabytes", s)
	}
	return int(mb), nil
}

// shapeSize reads a size: a cloud's own name, or what the server must have.
func (s *scope) shapeSize(n *node, rule *attribute, expr hcl.Expression, v cty.Value) (cty.Value, bool) {
	bare, _ := v.UnmarkDeep()
	if bare.Type() == cty.String {
		return bare, true
	}
	if t := bare.Type(); !t.IsObjectType() && !t.IsMapType() {
		s.report(fault(expr.Range(), fmt.Sprintf("%s of %s is %s", rule.name, n.title(), describe(v)), `want { cpus = 1, memory = "1GB" } or the cloud's own name in quotes`, ""))
		return cty.DynamicVal, false
	}
	if _, d := needOf(bare, itemRanges(expr), expr.Range()); d != nil {
		s.report(d)
		return cty.DynamicVal, false
	}
	return bare, true
}

var needs = []string{"cpus", "memory", "disk"}

// needOf reads { cpus, memory, disk }.
func needOf(v cty.Value, at map[string]hcl.Range, all hcl.Range) (*resource.Need, *hcl.Diagnostic) {
	need := &resource.Need{}
	values := v.AsValueMap()
	if len(values) == 0 {
		return nil, fault(all, "the size says nothing", `want { cpus = 1, memory = "1GB" }`, "")
	}
	for name, value := range values {
		where, ok := at[name]
		if !ok {
			where = all
		}
		if !slices.Contains(needs, name) {
			return nil, fault(where, fmt.Sprintf("a size has no %q", name), oneOf(needs), didYouMean(name, needs))
		}
		count, counted := whole(value)
		if name == "cpus" {
			if !counted || count < 1 {
				return nil, fault(where, "cpus is no number of CPUs", "want a whole number from 1", "")
			}
			need.CPUs = count
			continue
		}
		if value.Type() != cty.String || value.IsNull() || counted {
			return nil, fault(where, fmt.Sprintf("%s has no unit", name), `want an amount such as "4GB"`, "")
		}
		mb, err := Megabytes(value.AsString())
		if err != nil {
			return nil, fault(where, fmt.Sprintf("%s: %q is no amount", name, value.AsString()), `want an amount such as "512MB" or "4GB"`, "")
		}
		if name == "memory" {
			need.MemoryMB = mb
		} else {
			need.DiskGB = (mb + 1023) / 1024
		}
	}
	return need, nil
}
