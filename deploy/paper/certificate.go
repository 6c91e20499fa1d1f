package paper

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// certificates is where a server notes its certificates, one file for each.
const certificates = "certificates/"

// certificateLife is how long a certificate on paper is good for: as long as Let's Encrypt's are.
const certificateLife = 90 * 24 * time.Hour

// noted is a certificate on paper. No CA is asked, and there is no key.
type noted struct {
	Mark resource.Mark             `json:"mark"`
	Spec *resource.CertificateSpec `json:"spec"`
	Got  time.Time                 `json:"got"`
}

// renewal is when it is due.
func (n noted) renewal() time.Time {
	before := time.Duration(n.Spec.Renew) * time.Second
	if before <= 0 {
		before = certificateLife / 3
	}
	return n.Got.Add(certificateLife - min(before, certificateLife/2))
}

// putCertificate notes a certificate, a new one where the one before is for something else, is due or
// is to be renewed. As on a real server, its proxy must run.
func (d *Driver) putCertificate(ctx context.Context, c resource.Call, mark resource.Mark, spec *resource.CertificateSpec) (*resource.Found, error) {
	server, err := serverOf(c, spec.Server)
	if err != nil {
		return nil, err
	}
	h := d.hosts.on(server)
	files, err := h.read(ctx)
	if err != nil {
		return nil, err
	}
	if _, runs := files[currentFile]; !runs {
		return nil, resource.WithHint(fmt.Errorf("no release stands on %s", spec.Server), "apply the release first: cloudship apply")
	}
	file := certificates + mark.Address.Name + ".json"
	now := time.Now().UTC()
	note := noted{mark, spec, now}
	var old noted
	if ok, err := files.get(file, &old); err != nil {
		return nil, err
	} else if ok && old.Spec != nil && slices.Equal(old.Spec.Domains, spec.Domains) && old.Spec.Directory == spec.Directory && old.Spec.Key == spec.Key &&
		!old.Got.Before(spec.After) && now.Before(old.renewal()) {
		note.Got = old.Got
	}
	if err := h.write(ctx, file, note); err != nil {
		return nil, err
	}
	return d.found(ctx, server, mark.Address)
}

// removeCertificate forgets one.
func (d *Driver) removeCertificate(ctx context.Context, c resource.Call, item resource.Item) error {
	if item.Have == nil {
		return nil
	}
	spec, ok := item.Have.Spec.(*resource.CertificateSpec)
	if !ok {
		return nil
	}
	server, ok := c.Peers[spec.Server]
	if !ok {
		return nil // it went with its server
	}
	return d.hosts.on(server).remove(ctx, certificates+item.Mark.Address.Name+".json")
}

// certificatesIn lists the certificates of a server.
func certificatesIn(files disk, server resource.Found, now time.Time) ([]resource.Found, error) {
	var list []resource.Found
	for name := range files {
		if !strings.HasPrefix(name, certificates) {
			continue
		}
		var n noted
		if _, err := files.get(name, &n); err != nil {
			return nil, err
		}
		if n.Spec == nil || n.Mark.Stack != server.Mark.Stack || n.Mark.Generation != server.Mark.Generation {
			continue
		}
		f := resource.Found{
			Mark: n.Mark, ID: n.Spec.Path + "/" + n.Mark.Address.Name, Spec: n.Spec, Ready: true,
			Observed: []string{"server", "domains", "directory", "email", "key", "renew", "challenges", "path", "service", "hook", "http_port", "https_port"},
			Facts: resource.Facts{Certificate: &resource.CertificateFacts{
				NotBefore: n.Got, NotAfter: n.Got.Add(certificateLife), Names: n.Spec.Domains, Issuer: "paper", Serial: fmt.Sprintf("%x", n.Got.UnixNano()), Renewal: n.renewal(),
			}},
		}
		if !now.Before(n.renewal()) {
			f.Broken = "renewal is due: it ends on " + n.Got.Add(certificateLife).Format(time.DateOnly)
		}
		list = append(list, f)
	}
	return list, nil
}
