package plan

import "github.com/cloudship/cloudship/resource"

// foundOf gives what is remembered by address. A provider of machines that exist already names by it
// what it could not ask.
func foundOf(records []resource.Record) map[resource.Address]resource.Found {
	found := map[resource.Address]resource.Found{}
	for _, rec := range records {
		if old, ok := found[rec.Mark.Address]; !ok || old.Mark.Generation < rec.Mark.Generation {
			found[rec.Mark.Address] = rec.Found
		}
	}
	return found
}

// removeReleases deletes the releases and certificates on machines that are let go: a cloud's server
// takes with it what is there, a machine that lives on does not. Hooks run as at any other end.
func (m *maker) removeReleases() {
	for on, rec := range m.in.Have.Records {
		if k := on.Kind(); k != resource.KindRelease && k != resource.KindCertificate || rec.Announced && rec.ID == "" || len(m.removing[on]) > 0 {
			continue
		}
		server, _ := carrierOf(rec)
		for _, mv := range m.removing[server] {
			if m.in.Schemas[mv.provider].Existing && mv.item.Mark.Generation == rec.Mark.Generation {
				m.remove(rec, mv.reason)
			}
		}
	}
}
