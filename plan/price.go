package plan

import (
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// prices adds up what the stack costs a month before and after. What nobody can price is named, and
// left out of the sums.
func (m *maker) prices() Prices {
	sum := &sums{}
	for a, rec := range m.in.Have.Records {
		if rec.Provider != "" && !rec.Announced {
			sum.add(&sum.Before, a.String(), m.cost(a))
		}
	}
	for _, x := range m.in.Have.Extra {
		if _, carried := carrierOf(x); !carried {
			sum.add(&sum.Before, x.Mark.Address.String(), m.costOfExtra(x))
		}
	}
	for a, v := range m.verdicts {
		if v.want.Provider == "" {
			continue
		}
		price := &v.want.Price
		if v.deferred != "" && v.exists {
			price = m.cost(a)
		}
		sum.add(&sum.After, a.String(), price)
	}
	for a, rec := range m.in.Have.Records { // what is not wanted and stays all the same
		if m.verdicts[a] == nil && len(m.removing[a]) == 0 && rec.Provider != "" && !m.in.Destroy {
			sum.add(&sum.After, a.String(), m.cost(a))
		}
	}
	slices.Sort(sum.Unknown)
	sum.Unknown = slices.Compact(sum.Unknown)
	sum.Before.Known, sum.After.Known = true, true
	sum.Before.Currency = firstOf(sum.Before.Currency, sum.After.Currency)
	sum.After.Currency = firstOf(sum.After.Currency, sum.Before.Currency)
	return sum.Prices
}

type sums struct{ Prices }

func (s *sums) add(to *resource.Price, name string, p *resource.Price) {
	if p == nil || !p.Known || (p.Currency != "" && to.Currency != "" && p.Currency != to.Currency) {
		s.Unknown = append(s.Unknown, name)
		return
	}
	total := to.Plus(*p)
	total.Monthly = cents(total.Monthly)
	*to = total
}

// cents rounds to a thousandth, so that sums do not depend on their order.
func cents(x float64) float64 {
	const unit = 1000
	if x < 0 {
		return -cents(-x)
	}
	return float64(int64(x*unit+0.5)) / unit
}

// costOfExtra is what a leftover costs: as much as the one that is kept, where they are alike.
func (m *maker) costOfExtra(x resource.Record) *resource.Price {
	a := x.Mark.Address
	if kept, ok := m.in.Have.Records[a]; !ok || kept.Provider != x.Provider || !same(sizeOf(kept), sizeOf(x)) {
		return nil
	}
	return m.cost(a)
}

// sizeOf is the field of a resource that its price hangs on, or nil.
func sizeOf(rec resource.Record) []byte {
	return fieldsOf(current(rec))["size"].Value
}

// cost is what an address costs as it is now: as told, else what is wanted of it where the wish
// changes nothing that costs; nil when nobody can tell.
func (m *maker) cost(a resource.Address) *resource.Price {
	if p, ok := m.in.Costs[a]; ok {
		return &p
	}
	if rec := m.in.Have.Records[a]; rec.Provider != "" {
		if k := a.Kind(); k == resource.KindMembers || k == resource.KindSSHKey || k == resource.KindFirewall {
			return &resource.Price{Known: true}
		}
	}
	v := m.verdicts[a]
	if v == nil || slices.ContainsFunc(v.diff.fields, func(f FieldChange) bool {
		return slices.Contains([]string{"size", "region", "options"}, f.Name)
	}) {
		return nil
	}
	p := v.want.Price
	return &p
}
