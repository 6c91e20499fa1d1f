package digitalocean_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/digitalocean/godo"
)

func TestVolumes(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.ServerAction = cloud.Duration(50 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	d := f.droplets(t, nil, "a", "b")
	v := must[*godo.Volume](t)(f.Storage.CreateVolume(ctx, &godo.VolumeCreateRequest{
		Name: "data", Region: "nyc1", SizeGigaBytes: 10, FilesystemType: "ext4", Tags: []string{"db"},
	}))
	_, _, err := f.Storage.CreateVolume(ctx, &godo.VolumeCreateRequest{Name: "data", Region: "nyc1", SizeGigaBytes: 10, FilesystemType: "ext4"})
	refused(t, "the same name again", err, 409)
	_, _, err = f.Storage.CreateVolume(ctx, &godo.VolumeCreateRequest{Name: "Data", Region: "nyc1", SizeGigaBytes: 10, FilesystemType: "ext4"})
	refused(t, "a bad name", err, 422)

	finish := func(x *godo.Action, _ *godo.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, x.Type, func() bool {
			x, _, err := f.StorageActions.Get(ctx, v.ID, x.ID)
			return err == nil && x.Status == "completed"
		})
	}
	x, answer, err := f.StorageActions.Attach(ctx, v.ID, d[0].ID)
	_, _, busy := f.StorageActions.Resize(ctx, v.ID, 20, "nyc1")
	refused(t, "another action meanwhile", busy, 422)
	finish(x, answer, err)
	_, _, err = f.StorageActions.Attach(ctx, v.ID, d[1].ID)
	refused(t, "a second droplet", err, 422)
	finish(f.StorageActions.Resize(ctx, v.ID, 20, "nyc1"))
	_, _, err = f.StorageActions.Resize(ctx, v.ID, 10, "nyc1")
	refused(t, "a smaller size", err, 422)
	_, err = f.Storage.DeleteVolume(ctx, v.ID)
	refused(t, "a volume in use", err, 409)
	if got := must[*godo.Droplet](t)(f.Droplets.Get(ctx, d[0].ID)); !slices.Equal(got.VolumeIDs, []string{v.ID}) {
		t.Errorf("volumes of the droplet: %v", got.VolumeIDs)
	}
	s := must[*godo.Snapshot](t)(f.Storage.CreateSnapshot(ctx, &godo.SnapshotCreateRequest{VolumeID: v.ID, Name: "backup"}))
	if list := must[[]godo.Snapshot](t)(f.Storage.ListSnapshots(ctx, v.ID, nil)); len(list) != 1 || list[0].ID != s.ID {
		t.Errorf("snapshots: %v", list)
	}
	if _, err := f.Storage.DeleteSnapshot(ctx, s.ID); err != nil {
		t.Error(err)
	}
	finish(f.StorageActions.DetachByDropletID(ctx, v.ID, d[0].ID))
	list := must[[]godo.Volume](t)(f.Storage.ListVolumes(ctx, &godo.ListVolumeParams{Region: "nyc1", Name: "data"}))
	if len(list) != 1 || list[0].SizeGigaBytes != 20 || len(list[0].DropletIDs) != 0 {
		t.Errorf("volumes: %+v", list)
	}
	if _, err := f.Storage.DeleteVolume(ctx, v.ID); err != nil {
		t.Error(err)
	}
}

func TestDomains(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	must[*godo.Domain](t)(f.Domains.Create(ctx, &godo.DomainCreateRequest{Name: "example.com", IPAddress: "192.0.2.1"}))
	_, _, err := f.Domains.Create(ctx, &godo.DomainCreateRequest{Name: "example.com"})
	refused(t, "the same domain again", err, 422)
	list := must[[]godo.DomainRecord](t)(f.Domains.Records(ctx, "example.com", nil))
	if len(list) != 5 || list[0].Type != "SOA" || list[4].Data != "192.0.2.1" {
		t.Errorf("records of a new domain: %+v", list)
	}
	r := must[*godo.DomainRecord](t)(f.Domains.CreateRecord(ctx, "example.com", &godo.DomainRecordEditRequest{Type: "A", Name: "www", Data: "192.0.2.2"}))
	if r.TTL != 1800 {
		t.Errorf("default TTL %d", r.TTL)
	}
	must[*godo.DomainRecord](t)(f.Domains.EditRecord(ctx, "example.com", r.ID, &godo.DomainRecordEditRequest{Type: "A", Name: "www", Data: "192.0.2.3", TTL: 60}))
	found := must[[]godo.DomainRecord](t)(f.Domains.RecordsByTypeAndName(ctx, "example.com", "A", "www.example.com", nil))
	if len(found) != 1 || found[0].Data != "192.0.2.3" || found[0].TTL != 60 {
		t.Errorf("by type and name: %+v", found)
	}
	for what, bad := range map[string]*godo.DomainRecordEditRequest{
		"no address":    {Type: "A", Name: "x", Data: "nowhere"},
		"short TTL":     {Type: "A", Name: "x", Data: "192.0.2.1", TTL: 29},
		"no dot at end": {Type: "CNAME", Name: "x", Data: "example.com"},
		"unknown type":  {Type: "HINFO", Name: "x", Data: "x"},
	} {
		_, _, err := f.Domains.CreateRecord(ctx, "example.com", bad)
		refused(t, what, err, 422)
	}
	if _, err := f.Domains.DeleteRecord(ctx, "example.com", r.ID); err != nil {
		t.Error(err)
	}
	must[*godo.Domain](t)(f.Domains.Get(ctx, "example.com"))
	must[[]godo.Domain](t)(f.Domains.List(ctx, nil))
	if _, err := f.Domains.Delete(ctx, "example.com"); err != nil {
		t.Error(err)
	}
}

func TestReservedIPs(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.ServerAction = cloud.Duration(500 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	d := f.droplets(t, nil, "a", "b")
	r := must[*godo.ReservedIP](t)(f.ReservedIPs.Create(ctx, &godo.ReservedIPCreateRequest{DropletID: d[0].ID}))
	if !r.Locked {
		t.Error("it is not locked while it is assigned")
	}
	_, err := f.ReservedIPs.Delete(ctx, r.IP)
	refused(t, "deleted too early", err, 422)
	assigned := func(id int) func() bool {
		return func() bool {
			r, _, err := f.ReservedIPs.Get(ctx, r.IP)
			return err == nil && !r.Locked && (id == 0) == (r.Droplet == nil) && (id == 0 || r.Droplet.ID == id)
		}
	}
	eventually(t, "it is assigned", assigned(d[0].ID))
	must[*godo.Action](t)(f.ReservedIPActions.Assign(ctx, r.IP, d[1].ID))
	eventually(t, "it is assigned to the other", assigned(d[1].ID))
	must[*godo.Action](t)(f.ReservedIPActions.Unassign(ctx, r.IP))
	eventually(t, "it is unassigned", assigned(0))
	free := must[*godo.ReservedIP](t)(f.ReservedIPs.Create(ctx, &godo.ReservedIPCreateRequest{Region: "ams3"}))
	if list := must[[]godo.ReservedIP](t)(f.ReservedIPs.List(ctx, nil)); len(list) != 2 || free.IP == r.IP {
		t.Errorf("reserved IPs: %v", list)
	}
	if _, err := f.ReservedIPs.Delete(ctx, r.IP); err != nil {
		t.Error(err)
	}
}

func TestCertificates(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.BalancerActive = cloud.Duration(50 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	must[*godo.Domain](t)(f.Domains.Create(ctx, &godo.DomainCreateRequest{Name: "example.com"}))
	issue := func(name, host, state string) *godo.Certificate {
		t.Helper()
		k := must[*godo.Certificate](t)(f.Certificates.Create(ctx, &godo.CertificateRequest{Name: name, Type: "lets_encrypt", DNSNames: []string{host}}))
		if k.State != "pending" {
			t.Errorf("%s: %s at once", name, k.State)
		}
		eventually(t, name+" is "+state, func() bool {
			got, _, err := f.Certificates.Get(ctx, k.ID)
			return err == nil && got.State == state
		})
		return k
	}
	k := issue("good", "www.example.com", "verified")
	issue("foreign", "www.example.org", "error")
	_, _, err := f.Certificates.Create(ctx, &godo.CertificateRequest{Name: "good", Type: "lets_encrypt", DNSNames: []string{"www.example.com"}})
	refused(t, "the same name again", err, 422)
	_, _, err = f.Certificates.Create(ctx, &godo.CertificateRequest{Name: "bad", Type: "custom", PrivateKey: "x", LeafCertificate: "y"})
	refused(t, "no certificate", err, 422)
	f.balancer(t, &godo.LoadBalancerRequest{
		Name: "www", Region: "nyc1", Tag: "web",
		ForwardingRules: []godo.ForwardingRule{{EntryProtocol: "https", EntryPort: port, TargetProtocol: "http", TargetPort: 80, CertificateID: k.ID}},
	})
	_, err = f.Certificates.Delete(ctx, k.ID)
	refused(t, "a certificate in use", err, 403)
	if list := must[[]godo.Certificate](t)(f.Certificates.List(ctx, nil)); len(list) != 2 {
		t.Errorf("%d certificates", len(list))
	}
}

func TestProjects(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	d := f.droplets(t, nil, "web")[0]
	p := must[*godo.Project](t)(f.Projects.Create(ctx, &godo.CreateProjectRequest{Name: "shop", Purpose: "Web", Environment: "Production"}))
	standard := must[*godo.Project](t)(f.Projects.GetDefault(ctx))
	if list := must[[]godo.ProjectResource](t)(f.Projects.ListResources(ctx, standard.ID, nil)); len(list) != 1 || list[0].URN != d.URN() {
		t.Errorf("in the default project: %v", list)
	}
	for _, want := range []string{"assigned", "already_assigned"} {
		list := must[[]godo.ProjectResource](t)(f.Projects.AssignResources(ctx, p.ID, d.URN(), "do:droplet:1"))
		if len(list) != 2 || list[0].Status != want || list[1].Status != "not_found" {
			t.Errorf("want %s: %+v", want, list)
		}
	}
	_, err := f.Projects.Delete(ctx, p.ID)
	refused(t, "a project with a droplet", err, 412)
	p = must[*godo.Project](t)(f.Projects.Update(ctx, p.ID, &godo.UpdateProjectRequest{Name: "store"}))
	if p.Name != "store" || p.Purpose != "Web" {
		t.Errorf("updated: %+v", p)
	}
	if _, err := f.Droplets.Delete(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Projects.Delete(ctx, p.ID); err != nil {
		t.Error(err)
	}
}

func TestCatalogue(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	all := &godo.ListOptions{PerPage: 200}
	sizes := must[[]godo.Size](t)(f.Sizes.List(ctx, all))
	if i := slices.IndexFunc(sizes, func(s godo.Size) bool { return s.Slug == "s-1vcpu-1gb" }); i < 0 || sizes[i].PriceMonthly != 6 {
		t.Errorf("sizes: %+v", sizes)
	}
	if regions := must[[]godo.Region](t)(f.Regions.List(ctx, all)); len(regions) < 10 || len(regions[0].Sizes) != len(sizes) {
		t.Errorf("regions: %+v", regions)
	}
	if i := must[*godo.Image](t)(f.Images.GetBySlug(ctx, "debian-12-x64")); i.Distribution != "Debian" || i.ID == 0 {
		t.Errorf("image: %+v", i)
	}
	if list := must[[]godo.Image](t)(f.Images.ListApplication(ctx, all)); len(list) != 1 || list[0].Slug != "docker-20-04" {
		t.Errorf("applications: %+v", list)
	}
	d := f.droplets(t, nil, "web")[0]
	must[*godo.Action](t)(f.DropletActions.Snapshot(ctx, d.ID, "golden"))
	var own []godo.Image
	eventually(t, "the snapshot is an image", func() bool {
		own, _, _ = f.Images.ListUser(ctx, all)
		return len(own) == 1 && own[0].Name == "golden"
	})
	must[*godo.Droplet](t)(f.Droplets.Create(ctx, &godo.DropletCreateRequest{
		Name: "copy", Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{ID: own[0].ID},
		SSHKeys: []godo.DropletCreateSSHKey{}, Volumes: []godo.DropletCreateVolume{},
	}))
	must[[]godo.Image](t)(f.Droplets.Snapshots(ctx, d.ID, nil))
	if _, err := f.Images.Delete(ctx, own[0].ID); err != nil {
		t.Error(err)
	}
	must[[]godo.Snapshot](t)(f.Snapshots.List(ctx, nil))
}

func TestADropletIsDestroyedWithWhatHangsOnIt(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	d := f.droplets(t, nil, "web")[0]
	v := must[*godo.Volume](t)(f.Storage.CreateVolume(ctx, &godo.VolumeCreateRequest{Name: "data", Region: "nyc1", SizeGigaBytes: 1, FilesystemType: "ext4"}))
	must[*godo.Action](t)(f.StorageActions.Attach(ctx, v.ID, d.ID))
	must[*godo.ReservedIP](t)(f.ReservedIPs.Create(ctx, &godo.ReservedIPCreateRequest{DropletID: d.ID}))
	path := fmt.Sprintf("%s/v2/droplets/%d/destroy_with_associated_resources", f.url, d.ID)
	call := func(method, path string, dangerous bool) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+f.token)
		if dangerous {
			r.Header.Set("X-Dangerous", "true")
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(b)
	}
	eventually(t, "the volume is attached", func() bool {
		_, body := call("GET", path, false)
		return strings.Contains(body, v.ID)
	})
	if status, _ := call("DELETE", path+"/dangerous", false); status != 400 {
		t.Errorf("without the header: status %d", status)
	}
	if status, _ := call("DELETE", path+"/dangerous", true); status != 202 {
		t.Errorf("status %d", status)
	}
	if status, body := call("GET", path+"/status", false); status != 200 || !strings.Contains(body, v.ID) {
		t.Errorf("status %d %s", status, body)
	}
	if list := must[[]godo.Volume](t)(f.Storage.ListVolumes(ctx, nil)); len(list) != 0 {
		t.Errorf("volumes: %v", list)
	}
}
