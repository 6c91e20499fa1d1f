package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// Ink is what a piece of a printed plan means; the caller decides how it looks.
type Ink int

// The inks.
const (
	Plain   Ink = iota
	Added       // what is created
	Changed     // what is updated or replaced
	Removed     // what is deleted
	Moved       // a route that is switched
	Faint       // reasons, notes
	Strong      // headings, the summary
)

// Style gives a text the look of an ink. A nil Style leaves it plain.
type Style func(ink Ink, text string) string

// Print writes a plan for a reader. The same plan gives the same bytes.
func Print(w io.Writer, p *Plan, style Style) {
	if style == nil {
		style = func(_ Ink, text string) string { return text }
	}
	pr := &printer{style: style}
	pr.changes(p.Changes)
	pr.drift(p.Drift)
	pr.deferred(p.Deferred)
	pr.unknown(p.Unknown)
	pr.data(p)
	pr.section("notes", len(p.Notes))
	for _, n := range p.Notes {
		pr.line("  %s", n)
	}
	pr.section("others lose their server", len(p.Others))
	for _, o := range p.Others {
		pr.line("  %s", style(Removed, o))
	}
	if pr.b.Len() > 0 {
		pr.line("")
	}
	pr.line("%s", style(Strong, Summary(p)))
	for _, c := range p.Changes {
		if c.Action == Switch {
			pr.line("%s", style(Strong, fmt.Sprintf("switch: load_balancer.%s %s", c.Address.Name, c.Reason)))
		}
	}
	pr.line("%s", priceLine(p.Prices))
	_, _ = w.Write(pr.b.Bytes())
}

// Summary is the plan in one line.
func Summary(p *Plan) string {
	if p.Empty() {
		return "plan: nothing to do"
	}
	count := map[Action]int{}
	for _, c := range p.Changes {
		count[c.Action]++
	}
	s := fmt.Sprintf("plan: %d to create, %d to update, %d to replace, %d to delete", count[Create], count[Update], count[Replace], count[Delete])
	if n := count[Keep]; n > 0 {
		s += fmt.Sprintf(", %d to wait for", n)
	}
	return s
}

type printer struct {
	b     bytes.Buffer
	style Style
}

func (pr *printer) line(format string, args ...any) {
	pr.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (pr *printer) section(title string, n int) {
	if n == 0 {
		return
	}
	if pr.b.Len() > 0 {
		pr.line("")
	}
	pr.line("%s", pr.style(Strong, title+":"))
}

func inkOf(a Action) Ink {
	switch a {
	case Create:
		return Added
	case Update, Replace:
		return Changed
	case Delete:
		return Removed
	case Switch:
		return Moved
	}
	return Plain
}

// changes prints what happens; neighbours that differ in their index alone are one line.
func (pr *printer) changes(list []Change) {
	runs(list, func(c Change, name string, n int) { pr.change(c, name, n) })
}

// ownIndex stands for the index of the address itself in what is said of it.
const ownIndex = "[*]"

// runs joins neighbours that differ in their index alone, and gives each with the name and the
// number of all that it stands for.
func runs(list []Change, tell func(c Change, name string, n int)) {
	for i := 0; i < len(list); {
		var indexes []int
		j := i
		for ; j < len(list) && (j == i || alike(list[i], list[j])); j++ {
			indexes = append(indexes, list[j].Address.Index)
		}
		c, name := list[i], list[i].Address.String()
		if j-i > 1 {
			name = Range(c.Address, indexes)
			c.Reason = strings.ReplaceAll(general(c).Reason, ownIndex, name[strings.IndexByte(name, '['):])
		}
		tell(c, name, j-i)
		i = j
	}
}

func general(c Change) Change {
	c.Reason = strings.ReplaceAll(c.Reason, fmt.Sprintf("[%d]", c.Address.Index), ownIndex)
	c.Address.Index = 0
	return c
}

func alike(a, b Change) bool {
	if !a.Address.Counted() || !b.Address.Counted() {
		return false
	}
	x, errX := json.Marshal(general(a))
	y, errY := json.Marshal(general(b))
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (pr *printer) change(c Change, name string, times int) {
	line := pr.style(inkOf(c.Action), string(c.Action)+" "+name)
	if c.Reason != "" {
		line += "  " + pr.style(Faint, "("+c.Reason+")")
	}
	if price := changePrice(c, times); price != "" {
		line += "  " + price
	}
	pr.line("%s", line)
	if c.Action != Switch {
		pr.fields(c.Fields, c.Action == Create)
	}
	if c.Note != "" {
		pr.line("    %s", pr.style(Faint, c.Note))
	}
}

func (pr *printer) fields(fields []FieldChange, fresh bool) {
	wide := 0
	for _, f := range fields {
		wide = max(wide, len(f.Name))
	}
	for _, f := range fields {
		text := show(f.After)
		if !fresh {
			text = show(f.Before) + " -> " + show(f.After)
			if f.Fixed {
				text += "  " + pr.style(Faint, "(can't be changed in place)")
			}
		}
		pr.line("    %-*s  %s", wide, f.Name, text)
	}
}

func (pr *printer) drift(list []Change) {
	pr.section("changed behind our back", len(list))
	runs(list, pr.remark)
}

func (pr *printer) deferred(list []Deferral) {
	pr.section("deferred", len(list))
	var changes []Change
	for _, d := range list {
		changes = append(changes, Change{Address: d.Address, Reason: d.Reason, Fields: d.Fields})
	}
	runs(changes, pr.remark)
}

func (pr *printer) remark(c Change, name string, _ int) {
	if c.Reason != "" {
		name += ": " + c.Reason
	}
	pr.line("  %s", name)
	pr.fields(c.Fields, false)
}

func (pr *printer) data(p *Plan) {
	pr.section("data destroyed", len(p.Data))
	for _, d := range p.Data {
		pr.line("  %s", pr.style(Removed, d.tell(p.Made, d.full())))
	}
}

func (pr *printer) unknown(list []resource.Unknown) {
	pr.section("could not be asked", len(list))
	var changes []Change
	for _, u := range list {
		changes = append(changes, Change{Address: u.Address, Reason: u.Reason})
	}
	runs(changes, pr.remark)
}

// show is a JSON value for a reader: short, on one line.
func show(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil || v == nil {
		return "(unset)"
	}
	const most = 100
	text := showValue(v, raw)
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

func showValue(v any, raw json.RawMessage) string {
	switch v := v.(type) {
	case string:
		if q := strconv.Quote(v); v == "" || strings.ContainsAny(v, " \t\n") || q != `"`+v+`"` {
			return q
		}
		return v
	case []any:
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list)
		var parts []string
		sep := ", "
		for i, e := range v {
			if _, ok := e.(map[string]any); ok {
				sep = "; "
			}
			parts = append(parts, showValue(e, list[i]))
		}
		return strings.Join(ranged(parts), sep)
	case map[string]any:
		return showObject(raw)
	}
	return string(raw)
}

// showObject is an object's fields in their order: protocol tcp, ports 22.
func showObject(raw json.RawMessage) string {
	var parts []string
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token()
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return string(raw)
		}
		parts = append(parts, name+" "+show(value))
	}
	return strings.Join(parts, ", ")
}

// ranged joins neighbouring addresses that differ in their index alone.
func ranged(list []string) []string {
	var out []string
	for i := 0; i < len(list); {
		a, err := resource.ParseAddress(list[i])
		if err != nil || !a.Counted() {
			out = append(out, list[i])
			i++
			continue
		}
		var indexes []int
		j := i
		for j < len(list) {
			b, err := resource.ParseAddress(list[j])
			if err != nil || (resource.Address{Block: b.Block, Name: b.Name, Part: b.Part, Index: a.Index}) != a {
				break
			}
			indexes = append(indexes, b.Index)
			j++
		}
		slices.Sort(indexes)
		out = append(out, Range(a, indexes))
		i = j
	}
	return out
}

// changePrice is what a change does to the bill, or "".
func changePrice(c Change, times int) string {
	each := ""
	if times > 1 {
		each = " each"
	}
	switch {
	case c.Action == Create && c.After != nil && costs(c.After):
		return money(*c.After) + "/month" + each
	case c.Action == Delete && c.Before != nil && costs(c.Before):
		return "-" + money(*c.Before) + "/month" + each
	case c.Before != nil && c.After != nil && c.Before.Known && c.After.Known && c.Before.Monthly != c.After.Monthly:
		return money(*c.Before) + " -> " + money(*c.After) + "/month" + each
	}
	return ""
}

func costs(p *resource.Price) bool { return !p.Known || p.Monthly != 0 }

// money is a price for a reader.
func money(p resource.Price) string {
	if !p.Known {
		return "price unknown"
	}
	sign := map[string]string{"USD": "$", "EUR": "€", "GBP": "£", "": ""}
	if s, ok := sign[p.Currency]; ok {
		return fmt.Sprintf("%s%.2f", s, p.Monthly)
	}
	return fmt.Sprintf("%.2f %s", p.Monthly, p.Currency)
}

// namesShown is how many of what nobody can price are named.
const namesShown = 3

func priceLine(p Prices) string {
	s := "price: " + money(p.After) + " a month"
	if p.Before.Monthly != p.After.Monthly || p.Before.Currency != p.After.Currency {
		s += ", now " + money(p.Before)
	}
	as := firstOf(p.After.AsOf, p.Before.AsOf)
	if as != "" {
		s += ", prices of " + as
	}
	if len(p.Unknown) > 0 {
		few := ranged(p.Unknown)
		more := ""
		if len(few) > namesShown {
			few, more = few[:namesShown], ", ..."
		}
		s += ", and what nobody can price: " + strings.Join(few, ", ") + more
	}
	return s
}
