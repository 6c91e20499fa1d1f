package deploy

import (
	"reflect"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

const ssLines = `udp   UNCONN 0      0         127.0.0.53%lo:53        0.0.0.0:*    users:(("systemd-resolve",pid=571,fd=13))
tcp   LISTEN 0      511             0.0.0.0:80        0.0.0.0:*    users:(("nginx",pid=812,fd=6),("nginx",pid=811,fd=6))
tcp   LISTEN 0      511                [::]:80           [::]:*    users:(("nginx",pid=812,fd=7))
tcp   LISTEN 0      4096            0.0.0.0:443       0.0.0.0:*    users:(("docker-proxy",pid=900,fd=4))
tcp   LISTEN 0      128                   *:22              *:*    users:(("sshd",pid=1,fd=3))
tcp   LISTEN 0      128                [::1]:9000        [::]:*
`

func TestWhatListensIsNamedByItsProcess(t *testing.T) {
	want := []resource.Neighbour{
		{Process: "docker-proxy", Ports: []string{"443/tcp"}},
		{Process: "nginx", Ports: []string{"80/tcp"}},
		{Process: "sshd", Ports: []string{"22/tcp"}},
		{Process: "systemd-resolve", Ports: []string{"127.0.0.53:53/udp"}},
		{Process: "unknown", Ports: []string{"[::1]:9000/tcp"}},
	}
	if have := listening(ssLines); !reflect.DeepEqual(have, want) {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
}

func FuzzListening(f *testing.F) {
	f.Add(ssLines)
	f.Add("tcp LISTEN 0 0 %:80 *:*")
	f.Fuzz(func(t *testing.T, lines string) {
		for _, n := range listening(lines) {
			if n.Process == "" || len(n.Ports) == 0 {
				t.Errorf("%+v", n)
			}
		}
	})
}
