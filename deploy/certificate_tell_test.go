package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// TestTheProxyIsToldOfACertificate has a service told by its hook, by a signal, or not at all because
// there is none of it; and leaves no note of a rollout.
func TestTheProxyIsToldOfACertificate(t *testing.T) {
	w := newWorld(t)
	compose := strings.Replace(shop, "        - on: [start:app", "        - name: tls\n          on: [create]\n          command: [nginx, -t]\n          reload: true\n        - on: [start:app", 1)
	if err := w.roll(t.Context(), target{release: render(t, compose, map[string]string{"VERSION": "1"})}, &said{}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		spec resource.CertificateSpec
		want []string
		err  string
	}{
		"by its hook":  {resource.CertificateSpec{Service: "proxy", Hook: "tls"}, []string{"exec nginx -t in /shop-proxy-1", "POST /containers/{id}/kill"}, ""},
		"by a signal":  {resource.CertificateSpec{Service: "proxy"}, []string{"POST /containers/{id}/kill"}, ""},
		"no such hook": {resource.CertificateSpec{Service: "proxy", Hook: "tsl"}, nil, `service proxy has no hook "tsl"`},
		"nobody":       {resource.CertificateSpec{Service: "porxy"}, nil, "no container of service porxy runs"},
	} {
		t.Run(name, func(t *testing.T) {
			none := &rollout{
				engine: w.engine(), folder: folder{host: w, root: w.root}, group: "one", server: resource.Server("one", 0), hostIP: "10.0.0.1",
				say: func(string) {}, now: time.Now,
			}
			r, err := none.standing(t.Context())
			if err != nil || r == nil {
				t.Fatalf("nothing stands: %v", err)
			}
			w.arm(0, false)
			err = r.tellOfCertificate(t.Context(), &tt.spec)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			have := w.changed()
			for i, change := range have {
				have[i], _, _ = strings.Cut(change, " c0") // the container's id
			}
			if !slices.Equal(have, tt.want) {
				t.Errorf("it did %q, want %q", have, tt.want)
			}
			if _, err := os.Stat(filepath.Join(w.root, "rolling.json")); err == nil {
				t.Error("a rollout seems to be under way")
			}
		})
	}
}
