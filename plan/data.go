package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Data is what a server holds and what is lost with it: a named volume, or a folder that a stateful
// service writes to.
type Data struct {
	Name   string        `json:"name"`  // as the Compose file names it: the volume, or the service
	Place  string        `json:"place"` // the engine's volume, or the folder on the server
	Server resource.Mark `json:"server"`
	Backup time.Time     `json:"backup,omitzero"` // the newest one; zero: none is known
	Named  bool          `json:"named"`           // it may be destroyed
}

// full is its name with its group, as in blue.db.
func (d Data) full() string { return d.Server.Address.Name + "." + d.Name }

// DataError says that a plan would destroy data that nobody has named.
type DataError struct {
	Plan *Plan
	all  []Data // that the stack holds, to tell which names are clear
}

func (e *DataError) Error() string {
	lines := []string{"this would destroy data that was not named:"}
	for _, d := range unnamed(e.Plan) {
		lines = append(lines, "  "+d.tell(e.Plan.Made, shortest(d, e.all)))
	}
	return strings.Join(lines, "\n")
}

// HintText is the flags to type.
func (e *DataError) HintText() string {
	var flags []string
	for _, d := range unnamed(e.Plan) {
		if flag := "--destroy-data " + shortest(d, e.all); !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	return "nothing was changed; if it may be lost, add " + strings.Join(flags, " ")
}

// Spare is a *DataError where a plan destroys data that nobody has named, else nil. All is the
// data that the stack holds.
func Spare(p *Plan, all []Data) error {
	if len(unnamed(p)) == 0 {
		return nil
	}
	return &DataError{p, all}
}

func unnamed(p *Plan) []Data {
	return slices.DeleteFunc(slices.Clone(p.Data), func(d Data) bool { return d.Named })
}

// tell describes data under a name: what it is, where it lies, and how old its newest backup is.
func (d Data) tell(now time.Time, name string) string {
	what := "volume " + d.Place
	if strings.HasPrefix(d.Place, "/") {
		what = "folder " + d.Place
	}
	backup := "no backup is known"
	if !d.Backup.IsZero() {
		backup = "newest backup " + Age(now.Sub(d.Backup)) + " old"
	}
	return fmt.Sprintf("%s: %s on %s; %s", name, what, d.Server.Address, backup)
}

// Age writes how old something is, as roughly as one says it.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// shortest is the name by which data is called: without its group, unless several groups have such.
func shortest(d Data, all []Data) string {
	for _, other := range all {
		if other.Name == d.Name && other.Server.Address.Name != d.Server.Address.Name {
			return d.full()
		}
	}
	return d.Name
}

// strange notes the names that mean nothing which the stack holds. They harm nothing: whoever
// repeats a command that was cut short names what is gone already.
func (m *maker) strange() {
	for _, name := range m.in.DestroyData {
		known := slices.ContainsFunc(m.in.Data, func(d Data) bool { return name == d.Name || name == d.full() })
		if !known {
			m.notes = append(m.notes, fmt.Sprintf("--destroy-data %s: the stack holds no data of that name", name))
		}
	}
}

// mayGo reports whether data was named, so clearly that nothing else can be meant.
func (m *maker) mayGo(d Data) bool {
	return slices.Contains(m.in.DestroyData, d.full()) || slices.Contains(m.in.DestroyData, shortest(d, m.in.Data))
}

// dataOn lists what is lost with a server: nothing where it existed before, and is only let go of.
func (m *maker) dataOn(server resource.Found) []Data {
	var list []Data
	for _, d := range m.in.Data {
		if d.Server.Address == server.Mark.Address && d.Server.Generation == server.Mark.Generation && server.Facts.Access == nil {
			d.Named = m.mayGo(d)
			list = append(list, d)
		}
	}
	return list
}

// holdsData reports whether a server holds data, as far as is known.
func (m *maker) holdsData(rec resource.Record) bool {
	return m.groups[rec.Mark.Address.Name].Data || len(m.dataOn(rec.Found)) > 0
}

// mayLose reports whether all data of a server was named. Where it is not known what a server
// holds, nothing was.
func (m *maker) mayLose(rec resource.Record) bool {
	data := m.dataOn(rec.Found)
	return len(data) > 0 && !slices.ContainsFunc(data, func(d Data) bool { return !d.Named })
}

// nameIt says how a server that holds data is let go.
func (m *maker) nameIt(rec resource.Record) string {
	data := m.dataOn(rec.Found)
	if len(data) == 0 {
		return "name it with --replace"
	}
	var flags []string
	for _, d := range data {
		flags = append(flags, "--destroy-data "+shortest(d, m.in.Data))
	}
	slices.Sort(flags)
	return "if that may be lost, add " + strings.Join(slices.Compact(flags), " ")
}

// destroyed lists the data that goes with the servers that are deleted. A duplicate of a server
// that is kept holds none: all that is known was found on the other.
func (m *maker) destroyed() []Data {
	var list []Data
	for a, moves := range m.removing {
		if a.Kind() != resource.KindServer {
			continue
		}
		for _, mv := range moves {
			if kept, ok := m.in.Have.Records[a]; ok && kept.Mark == mv.item.Mark && kept.ID != mv.item.Have.ID {
				continue
			}
			list = append(list, m.dataOn(*mv.item.Have)...)
		}
	}
	slices.SortFunc(list, func(x, y Data) int {
		if c := x.Server.Address.Compare(y.Server.Address); c != 0 {
			return c
		}
		return strings.Compare(x.Name+x.Place, y.Name+y.Place)
	})
	return list
}

// mourn notes the data that went with servers which are gone without us, and the data that stays on
// servers which are let go of.
func (m *maker) mourn() {
	for _, d := range m.in.Data {
		if rec := m.in.Have.Records[d.Server.Address]; rec.Facts.Access != nil && m.removed(rec) {
			m.notes = append(m.notes, fmt.Sprintf("%s existed before and goes on to: %s (%s) stays on it", d.Server.Address, d.Name, d.Place))
		}
		gone, was := m.in.Have.Gone[d.Server.Address]
		v := m.verdicts[d.Server.Address]
		if !was || gone.Mark.Generation != d.Server.Generation || v == nil || v.act != Create {
			continue
		}
		m.notes = append(m.notes, fmt.Sprintf("%s is gone, and its data with it: %s; the new server begins empty, bring the data back with 'cloudship backup restore'", d.Server.Address, d.tell(m.in.Now, shortest(d, m.in.Data))))
	}
}
