package deploy

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

var update = flag.Bool("update", false, "rewrite what the golden files expect")

const everything = `
name: shop
services:
  app:
    image: app
    command: ["serve", "--port", "80"]
    entrypoint: []
    environment: { A: "1" }
    hostname: web
    user: "1000:1000"
    working_dir: /srv
    init: true
    tty: true
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    read_only: true
    sysctls: { net.core.somaxconn: "1024" }
    devices: ["/dev/fuse:/dev/fuse:rw"]
    tmpfs: ["/tmp:size=64m,noexec"]
    shm_size: 64m
    ulimits: { nofile: { soft: 1024, hard: 2048 } }
    extra_hosts: ["db:10.0.0.9"]
    dns: [9.9.9.9]
    ports: ["8080:80", "127.0.0.1:9000-9010:90/udp", "443"]
    expose: ["8125/udp"]
    stop_signal: SIGQUIT
    stop_grace_period: 20s
    logging: { driver: json-file, options: { max-size: 10m } }
    labels: { mine: "yes" }
    healthcheck: { test: "curl -f localhost", interval: 5s, timeout: 2s, retries: 4, start_period: 10s }
    volumes: ["data:/data", "/etc/ssl:/certs:ro"]
    deploy:
      resources: { limits: { cpus: "0.5", memory: 256M, pids: 100 }, reservations: { memory: 128M } }
    networks:
      back: { aliases: [web], ipv4_address: 10.9.0.5 }
      front: { priority: 10 }
  aside:
    image: aside
    network_mode: host
    pid: host
volumes: { data: {} }
networks:
  back: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }
  front: {}
`

// TestBlueprint translates services to the engine's API as the golden files have it.
func TestBlueprint(t *testing.T) {
	release := render(t, everything, nil)
	for name, service := range release.Services {
		b := blueprint{container: "shop-" + name + "-1", image: service.Image.Reference(), name: name, service: service, release: release, labels: map[string]string{labelStack: "shop-aaaaaa"}, api: "1.41"}
		options, err := b.options()
		if err != nil {
			t.Fatal(err)
		}
		have, err := json.MarshalIndent(options, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "blueprint-"+name+".json")
		if *update {
			if err := os.WriteFile(golden, append(have, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(have)+"\n" != string(want) {
			t.Errorf("%s differs from %s; run the test with -update and read the difference:\n%s", name, golden, have)
		}
	}
}

func TestEndpointIsFoundByItsService(t *testing.T) {
	release := render(t, everything, nil)
	b := blueprint{name: "app", service: release.Services["app"], release: release, api: "1.41"}
	e, err := b.endpoint("back")
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Aliases) != 2 || e.Aliases[0] != "app" || e.Aliases[1] != "web" {
		t.Errorf("it is found as %q", e.Aliases)
	}
	if b.networks()[0] != "front" {
		t.Errorf("its first network is %s, want the one of highest priority", b.networks()[0])
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		have, want string
		so         bool
	}{{"1.41", "1.44", false}, {"1.44", "1.44", true}, {"1.100", "1.44", true}, {"2.0", "1.99", true}, {"1.9", "1.41", false}} {
		if atLeast(c.have, c.want) != c.so {
			t.Errorf("atLeast(%s, %s) is %v", c.have, c.want, !c.so)
		}
	}
}

func TestBroken(t *testing.T) {
	for _, c := range []struct {
		want, have map[string]int
		says       string
	}{
		{map[string]int{"app": 3, "proxy": 1}, map[string]int{"app": 3, "proxy": 1}, ""},
		{map[string]int{"app": 3, "proxy": 1}, map[string]int{"app": 1}, "1 of 3 containers of app run, proxy does not run"},
		{nil, map[string]int{"app": 1}, ""},
		{map[string]int{"app": 1}, map[string]int{"app": 2}, ""},
	} {
		if says := broken(c.want, c.have); says != c.says {
			t.Errorf("broken(%v, %v) says %q, want %q", c.want, c.have, says, c.says)
		}
	}
}

func TestServerAddressesOfAGroup(t *testing.T) {
	peers := map[resource.Address]resource.Found{}
	for _, a := range []resource.Address{resource.Server("blue", 10), resource.Server("blue", 2), resource.Server("green", 0), resource.DockerOn("blue", 2)} {
		peers[a] = resource.Found{Mark: resource.Mark{Address: a}}
	}
	list := serversOf(peers, "blue")
	if len(list) != 2 || list[0].Mark.Address.Index != 2 || list[1].Mark.Address.Index != 10 {
		t.Errorf("servers of blue: %v", list)
	}
}
