package plan

import (
	"maps"
	"slices"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// certified is a server with Docker, a release and a certificate, as an earlier apply left them.
func certified() (map[resource.Address]resource.Record, []Want) {
	server, docker, release, site := resource.Server("web", 0), resource.DockerOn("web", 0), resource.ReleaseOn("web", 0), resource.CertificateNamed("site")
	wants := []Want{
		{Address: server, Spec: &resource.ServerSpec{Group: "web", Size: "small"}, Provider: "cloud"},
		{Address: docker, Spec: &resource.DockerSpec{Server: server}},
		{Address: release, Spec: &resource.ReleaseSpec{Server: server, Docker: docker, Template: "web", Release: "r-1"}},
		{Address: site, Spec: &resource.CertificateSpec{Server: server, Domains: []string{"a.example"}, Release: "r-1"}, Needs: []resource.Address{docker, release}},
	}
	records := map[resource.Address]resource.Record{}
	for _, w := range wants {
		found := resource.Found{Mark: resource.Mark{Stack: stackID, Address: w.Address, Generation: 3}, Provider: w.Provider, ID: "id", Ready: true, Spec: w.Spec}
		found.Observed = []string{"size", "release", "domains"}
		records[w.Address] = resource.Record{Found: found, Want: w.Spec}
	}
	return records, wants
}

func planned(t *testing.T, records map[resource.Address]resource.Record, in Input) []string {
	t.Helper()
	in.Memory, in.Have.Records = resource.Memory{Stack: stackID, Records: records}, records
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range p.Drift {
		if d.Address.Kind() == resource.KindCertificate {
			t.Errorf("it changed behind our back: %+v", d)
		}
	}
	return ids(p)
}

func TestACertificateLivesOnItsServer(t *testing.T) {
	site := resource.CertificateNamed("site")
	for name, tt := range map[string]struct {
		change func(map[resource.Address]resource.Record, *Input)
		want   []string
	}{
		"as it should be": {func(map[resource.Address]resource.Record, *Input) {}, nil},
		"due": {func(records map[resource.Address]resource.Record, _ *Input) {
			rec := records[site]
			rec.Broken = "renewal is due: it ends on 2026-12-10"
			records[site] = rec
		}, []string{"update certificate.site"}},
		"after its release": {func(_ map[resource.Address]resource.Record, in *Input) {
			in.Wants[2].Spec = &resource.ReleaseSpec{Server: resource.Server("web", 0), Docker: resource.DockerOn("web", 0), Template: "web", Release: "r-2"}
			in.Wants[3].Spec = &resource.CertificateSpec{Server: resource.Server("web", 0), Domains: []string{"b.example"}, Release: "r-2"}
		}, []string{"update group.web.release[0]", "update certificate.site"}},
		"with a new server": {func(_ map[resource.Address]resource.Record, in *Input) {
			in.Replace = []resource.Address{resource.Server("web", 0)}
		}, []string{"create group.web.server[0]", "create group.web.docker[0]", "create group.web.release[0]", "create certificate.site", "delete group.web.server[0] generation 3"}},
		"not wanted any more": {func(_ map[resource.Address]resource.Record, in *Input) {
			in.Wants = in.Wants[:3]
		}, []string{"delete certificate.site"}},
		"gone with its server": {func(_ map[resource.Address]resource.Record, in *Input) {
			in.Destroy = true
		}, []string{"delete group.web.server[0]", "retire cloud"}},
		"a machine goes on to be": {func(_ map[resource.Address]resource.Record, in *Input) {
			in.Destroy = true
			in.Schemas = map[string]resource.Schema{"cloud": {Existing: true}}
		}, []string{"delete certificate.site", "delete group.web.release[0]", "delete group.web.server[0]", "retire cloud"}},
		"could not be asked": {func(records map[resource.Address]resource.Record, in *Input) {
			in.Wants[3].Spec = &resource.CertificateSpec{Server: resource.Server("web", 0), Domains: []string{"b.example"}}
			in.Have.Unknown = map[resource.Address]string{site: "no route to host", resource.DockerOn("web", 0): "no route to host", resource.ReleaseOn("web", 0): "no route to host"}
		}, nil},
		"new on what could not be asked": {func(records map[resource.Address]resource.Record, in *Input) {
			delete(records, site)
			in.Have.Unknown = map[resource.Address]string{resource.DockerOn("web", 0): "no route to host", resource.ReleaseOn("web", 0): "no route to host"}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			records, wants := certified()
			in := Input{Wants: wants, Groups: []Group{{Name: "web", Template: "web", Provider: "cloud", Servers: 1}}, Schemas: map[string]resource.Schema{"cloud": {}}}
			tt.change(records, &in)
			if have := planned(t, records, in); !slices.Equal(have, tt.want) {
				t.Errorf("steps %q\nwant  %q", have, tt.want)
			}
		})
	}
}

func TestAServerThatIsDeletedTakesItsCertificateAlong(t *testing.T) {
	records, _ := certified()
	l := NewLedger(resource.Memory{Stack: stackID, Records: maps.Clone(records)}, Have{Records: records}, "ann")
	l.Delete(records[resource.Server("web", 0)].Found)
	if left := l.Memory().Records; len(left) > 0 {
		t.Errorf("remembered are %v", left)
	}
}
