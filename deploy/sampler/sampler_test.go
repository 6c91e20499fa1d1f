package sampler

import (
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

func TestUnits(t *testing.T) {
	for _, test := range []struct {
		spec  resource.Sampling
		units string
		want  []string // in the files
	}{
		{resource.Sampling{History: 604800, Every: 60}, "cloudship-stats-shop-aaaaaa.timer", []string{
			"OnUnitActiveSec=60s", "Type=oneshot", "/var/lib/cloudship/shop-aaaaaa/stats/stats sample /var/lib/cloudship/shop-aaaaaa/stats/history 604800 33554432 shop-aaaaaa", "STATS_DOCKER=/data/docker"}},
		{resource.Sampling{Prometheus: 9100, Listen: "private"}, "cloudship-stats-shop-aaaaaa-prometheus.socket", []string{"ListenStream=10.0.0.7:9100", "Accept=yes", "MaxConnections=8", "RuntimeMaxSec="}},
		{resource.Sampling{History: 60, Every: 1, Prometheus: 9100, Listen: "::1"}, "cloudship-stats-shop-aaaaaa.timer cloudship-stats-shop-aaaaaa-prometheus.socket", []string{"ListenStream=[::1]:9100", "AccuracySec=100ms"}},
	} {
		f, err := Of("shop-aaaaaa", "/var/lib/cloudship/shop-aaaaaa", "/data/docker", "10.0.0.7", &test.spec)
		if err != nil {
			t.Fatal(err)
		}
		if have := strings.Join(f.Units, " "); have != test.units {
			t.Errorf("%+v: units %s, want %s", test.spec, have, test.units)
		}
		all := ""
		for name, content := range f.Content {
			if strings.HasSuffix(name, ".service") && strings.Contains(content, "[Install]") {
				t.Errorf("%s would be started at boot, and stay", name)
			}
			all += content
		}
		for _, want := range test.want {
			if !strings.Contains(all, want) {
				t.Errorf("%+v: no %q in\n%s", test.spec, want, all)
			}
		}
	}
	if _, err := Of("s", "/x", "/d", "", &resource.Sampling{Prometheus: 9100, Listen: "private"}); err == nil {
		t.Error("a server without a private address listens on it")
	}
	if f, err := Of("s", "/x", "", "", nil); err != nil || len(f.Content) > 0 || len(f.Units) > 0 {
		t.Errorf("nothing wanted gives %+v, %v", f, err)
	}
}
