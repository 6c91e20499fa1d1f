package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/deploy/shipper"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// holder is what is known of a server that may hold data.
type holder struct {
	docker, release resource.Record
	sure            bool // it was asked just now
}

// held lists the data on the servers, those included that are gone. Asked says that the hosts were
// asked: then a volume that Docker does not have does not count. Where a server was not, all that
// its release writes counts.
func (s *Session) held(have plan.Have, asked bool) []plan.Data {
	holders := map[resource.Mark]*holder{}
	enter := func(rec resource.Record, sure bool) {
		a := rec.Mark.Address
		kind := a.Kind()
		if kind != resource.KindRelease && kind != resource.KindDocker {
			return
		}
		mark := resource.Mark{Stack: rec.Mark.Stack, Address: resource.Server(a.Name, a.Index), Generation: rec.Mark.Generation}
		if holders[mark] == nil {
			holders[mark] = &holder{}
		}
		if kind == resource.KindRelease {
			holders[mark].release = rec
			return
		}
		_, unknown := have.Unknown[a]
		holders[mark].docker, holders[mark].sure = rec, sure && !unknown
	}
	for _, rec := range have.Gone {
		enter(rec, false)
	}
	for _, rec := range have.Extra {
		enter(rec, false)
	}
	for _, rec := range have.Records {
		enter(rec, asked)
	}
	var list []plan.Data
	for mark, h := range holders {
		list = append(list, h.data(mark, s.Memory().Releases)...)
	}
	slices.SortFunc(list, func(a, b plan.Data) int {
		if c := a.Server.Address.Compare(b.Server.Address); c != 0 {
			return c
		}
		return strings.Compare(a.Name+a.Place, b.Name+b.Place)
	})
	return list
}

// data lists what a server holds: what its release writes, and the volumes that were left by
// releases before it.
func (h *holder) data(mark resource.Mark, releases map[string]resource.ReleaseEntry) []plan.Data {
	document := documentOf(h.release, releases)
	var volumes []resource.Volume
	if h.docker.Facts.Host != nil {
		volumes = h.docker.Facts.Host.Volumes
	}
	var list []plan.Data
	known := map[string]bool{}
	if document != nil {
		for _, v := range document.Volumes {
			known[v.Name] = true // what of them is no data is scratch, or nothing here writes to it
		}
		for _, d := range document.Data(mark.Address.Index) {
			if h.sure && volumes != nil && !d.Folder && !document.Volumes[d.Name].External && !slices.ContainsFunc(volumes, func(v resource.Volume) bool { return v.Name == d.Place }) {
				continue
			}
			list = append(list, plan.Data{Name: d.Name, Place: d.Place, Server: mark})
		}
	}
	for _, v := range volumes {
		if !known[v.Name] && v.Key != shipper.Name { // which only has its place in the journal there
			list = append(list, plan.Data{Name: or(v.Key, v.Name), Place: v.Name, Server: mark})
		}
	}
	return list
}

// documentOf is the release that a record tells of, or nil.
func documentOf(rec resource.Record, releases map[string]resource.ReleaseEntry) *template.Release {
	for _, spec := range []resource.Spec{rec.Found.Spec, rec.Want} {
		if spec, ok := spec.(*resource.ReleaseSpec); ok {
			if document, err := template.Decode(releases[spec.Release].Document); err == nil {
				return document
			}
		}
	}
	return nil
}

// dated gives data the moment of its newest backup, as the targets tell it. Data that may be lost, or
// was, is worth asking for.
func (s *Session) dated(ctx context.Context, data []plan.Data, have plan.Have) []plan.Data {
	newest := map[string]time.Time{}
	for _, b := range s.backupStatus(ctx, func(*stack.Backup) bool { return true }) {
		if b.Newest != nil && b.Newest.At.After(newest[b.Block]) {
			newest[b.Block] = b.Newest.At
		}
	}
	data = slices.Clone(data)
	for i, d := range data {
		a := resource.ReleaseOn(d.Server.Address.Name, d.Server.Address.Index)
		rec, there := have.Records[a]
		if !there || rec.Mark.Generation != d.Server.Generation {
			rec = have.Gone[a]
		}
		document := documentOf(rec, s.Memory().Releases)
		for _, b := range s.stack.Backups {
			if at := newest[b.Name]; backsUp(b, d, document) && at.After(d.Backup) {
				data[i].Backup = at
			}
		}
	}
	return data
}

// backsUp reports whether a block's backups hold data.
func backsUp(b *stack.Backup, d plan.Data, document *template.Release) bool {
	if b.Group != d.Server.Address.Name {
		return false
	}
	if b.Volume != "" || document == nil {
		return b.Volume == d.Name
	}
	return b.Service == d.Name || slices.ContainsFunc(document.MountsOf(b.Service), func(m template.Mount) bool {
		return m.Type == template.MountVolume && m.Source == d.Name
	})
}

// unused notes the volumes that a new release does not use any more, and that stay.
func unused(wants []plan.Want, have plan.Have, memory map[string]resource.ReleaseEntry) []string {
	var notes []string
	for _, w := range wants {
		spec, ok := w.Spec.(*resource.ReleaseSpec)
		if !ok {
			continue
		}
		a := w.Address
		docker := have.Records[resource.DockerOn(a.Name, a.Index)]
		now, err := template.Decode(memory[spec.Release].Document)
		if err != nil || docker.Facts.Host == nil {
			continue
		}
		before := documentOf(have.Records[a], memory)
		for _, v := range docker.Facts.Host.Volumes {
			uses := func(r *template.Release) bool {
				return slices.ContainsFunc(slices.Collect(maps.Values(r.Volumes)), func(u template.Volume) bool { return u.Name == v.Name })
			}
			if before != nil && uses(before) && !uses(now) {
				notes = append(notes, fmt.Sprintf("volume %s stays on %s with its data, although nothing uses it any more", or(v.Key, v.Name), spec.Server))
			}
		}
	}
	return notes
}
