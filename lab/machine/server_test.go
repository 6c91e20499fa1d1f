package machine

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
)

func testGround() *ground {
	return &ground{
		public:       labNetwork{id: "pub", prefix: netip.MustParsePrefix("198.18.7.0/24")},
		private:      labNetwork{id: "priv", prefix: netip.MustParsePrefix("198.19.7.0/24")},
		capabilities: []string{"NET_ADMIN", "SYS_ADMIN"},
		resolvConf:   "nameserver 192.0.2.53\n",
		processors:   2,
	}
}

func TestSeedTellsCloudInitWhatACloudWould(t *testing.T) {
	data, err := testGround().seed(Spec{
		ID: "7", Name: "web-1.example.com", UserData: "#!/bin/sh\n", AuthorizedKeys: []string{`ssh-ed25519 AAAA "me"`},
	})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	archive := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
	if got := files["var/lib/cloud/seed/nocloud/user-data"]; got != "#!/bin/sh\n" {
		t.Errorf("user data %q", got)
	}
	if got := files["etc/cloudship-lab/resolv.conf"]; got != "nameserver 192.0.2.53\n" {
		t.Errorf("resolv.conf %q", got)
	}
	var meta map[string]any
	if err := json.Unmarshal([]byte(files["var/lib/cloud/seed/nocloud/meta-data"]), &meta); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"instance-id": "7", "local-hostname": "web-1.example.com",
		"public-keys": []any{`ssh-ed25519 AAAA "me"`},
	}
	if !reflect.DeepEqual(meta, want) {
		t.Errorf("meta data %v, want %v", meta, want)
	}
}

func TestMachineComesBackFromItsLabels(t *testing.T) {
	s := Spec{ID: "7", Name: "web-1", MemoryMB: 512, CPUs: 8, Labels: map[string]string{"cloudship.lab": "a trap"}}
	options := testGround().options("abc", s, "image", 12)
	got := machineOf(container.Summary{Labels: options.Config.Labels, State: container.StateRunning})
	want := Machine{ID: "7", Name: "web-1", PublicIP: "198.18.7.12", PrivateIP: "198.19.7.12", Running: true, Labels: s.Labels}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r := options.HostConfig.Resources; r.Memory != 512<<20 || r.MemorySwap != r.Memory || r.NanoCPUs != 2e9 {
		t.Errorf("bounds %d, %d, %d; the machine has two processors", r.Memory, r.MemorySwap, r.NanoCPUs)
	}
	if options.HostConfig.Privileged {
		t.Error("a server is not privileged: it would see the machine's disks")
	}
}

func TestHostname(t *testing.T) {
	for name, want := range map[string]string{
		"web-1":                 "web-1",
		"web-1.example.com":     "web-1",
		strings.Repeat("x", 80): strings.Repeat("x", 63),
		"":                      "",
	} {
		if got := hostname(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestAddressesGoRound(t *testing.T) {
	taken := map[byte]bool{11: true}
	for _, test := range []struct {
		last, want byte
	}{{0, 10}, {10, 12}, {250, 10}, {255, 10}} {
		if got, ok := nextHost(test.last, taken); !ok || got != test.want {
			t.Errorf("after %d: %d, want %d", test.last, got, test.want)
		}
	}
	for host := firstHost; host <= lastHost; host++ {
		taken[byte(host)] = true
	}
	if got, ok := nextHost(0, taken); ok {
		t.Errorf("a full network gave %d", got)
	}
}

func TestUsableResolvConf(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"nameserver 192.0.2.53\r\n", "nameserver 192.0.2.53\n"},
		{"search x\nnameserver 127.0.0.11\n", ""},
		{"nameserver ::1\nnameserver 2001:db8::53\n", "nameserver ::1\nnameserver 2001:db8::53\n"},
		{"# nameserver 192.0.2.53\nnameserver\nnameserver here\n", ""},
		{"", ""},
	} {
		if got := usableResolvConf(test.text); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

func TestNoEngineIsSaidPlainly(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	_, err := OpenContainers(t.Context(), t.TempDir(), nil)
	if !errors.Is(err, ErrNoEngine) {
		t.Errorf("error %v, want ErrNoEngine", err)
	}
}
