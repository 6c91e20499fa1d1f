//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/certificate/pebble"
	"github.com/cloudship/cloudship/e2e/load"
)

// secured is a proxy alone, with a certificate.
const secured = `
stack "secured" {}

variable "directory" { default = "https://acme.example/dir" }

provider "digitalocean" { region = "fra1" }

template "web" { compose = "compose.yaml" }

group "web" {
  servers  = 1
  size     = "s-1vcpu-512mb-10gb"
  image    = "docker-20-04"
  template = "web"
}

certificate "site" {
  group      = "web"
  domains    = ["` + site + `", "www.` + site + `"]
  directory  = var.directory
  ca         = fileexists("ca.pem") ? file("ca.pem") : null
  challenges = "/srv/proxy/acme"
  path       = "/srv/proxy/certificates"
  service    = "proxy"
  hook       = "tls"
}

output "address" { value = group.web.server[0].public_ip }
`

const securedCompose = `
services:
  proxy:
    build: proxy
    ports: ["80:80", "443:443"]
    volumes:
      - /srv/proxy/acme:/srv/proxy/acme:ro
      - /srv/proxy/certificates:/srv/proxy/certificates:ro
    configs:
      - { source: plain, target: /etc/nginx/conf.d/plain.conf }
    x-cloudship:
      hooks:
        - { name: tls, on: [create], run: ./tls.sh, timeout: 60s }
configs:
  plain:
    content: |
      server {
          listen 80;
          server_name ` + site + ` www.` + site + `;
          location /.well-known/acme-challenge/ { alias /srv/proxy/acme/; }
          location / { return 301 https://$$host$$request_uri; }
      }
`

// securedHook is what the example's reload begins with here: TLS as soon as there is a certificate. An
// answer that is the last on its connection says so, as in the example.
const securedHook = `cd /srv/proxy/certificates/site 2>/dev/null && [ -f fullchain.pem ] || exit 0
cat > /etc/nginx/conf.d/tls.conf <<'END'
server {
    listen 443 ssl;
    ssl_certificate     /srv/proxy/certificates/site/fullchain.pem;
    ssl_certificate_key /srv/proxy/certificates/site/privkey.pem;
    error_page 418 = @goodbye;
    if (-f /run/goodbye) { return 418; }
    location / { return 200 ok; }
    location @goodbye { keepalive_timeout 0; return 200 ok; }
}
END
`

// TestF23CertificatesOnARealServer has a real server's proxy get a certificate from a real CA, and
// renews it under clients that keep their connections and never send a request twice.
func TestF23CertificatesOnARealServer(t *testing.T) {
	t.Parallel()
	v := from(t, "../examples/fantasyreality")
	reload, err := os.ReadFile(filepath.Join(v.Dir, "reload.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"cloudship.hcl": secured, "compose.yaml": securedCompose, "tls.sh": securedHook + string(reload)} {
		if err := os.WriteFile(filepath.Join(v.Dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v.ship(0, "apply", "-y", "--new-key", "--target", "group.web")
	address := strings.TrimPrefix(v.url(), "http://")
	ca := pebble.Start(t, address, 80, 90)
	if err := os.WriteFile(filepath.Join(v.Dir, "ca.pem"), []byte(ca.CA), 0o644); err != nil {
		t.Fatal(err)
	}
	v.Env = append(v.Env, "CLOUDSHIP_VAR_directory="+ca.Directory)
	v.ship(0, "apply", "-y")
	v.settled()
	first := v.certificate()

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Root) {
		t.Fatal("the CA has no root")
	}
	l := load.StartKeptTLS(net.JoinHostPort(address, "443"), 25, 10, &tls.Config{RootCAs: roots, ServerName: site}, func(int) (*http.Request, error) {
		return http.NewRequest(http.MethodGet, "https://"+site+"/", nil)
	}, nil)
	t.Cleanup(l.Stop)
	v.answers(l, first)
	v.says(v.ship(0, "certificates", "renew", "-y"), "nothing to do")
	v.ship(0, "certificates", "renew", "site", "--force", "-y")
	second := v.certificate()
	if second == first {
		t.Errorf("it is %s as before", second)
	}
	v.answers(l, second)
	l.Stop()
	sent, failed, failures := l.Count()
	t.Logf("load: %d requests over %d connections, %d failed, %d cut", sent, l.Dialed(), failed, l.Cut())
	if failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
	}

	v.settled()
	if out := v.on("web", "sh", "-c", "grep -sal 'acme\\|certbot\\|cloudship' /proc/[0-9]*/comm || true"); strings.TrimSpace(out) != "" {
		t.Errorf("something stays running: %s", out)
	}
	if out := v.on("web", "sh", "-c", "grep -rl 'PRIVATE KEY' /var/lib/cloudship /var/log || true"); strings.TrimSpace(out) != "" {
		t.Errorf("a private key is in %s", out)
	}
}

// certificate is the serial number of the certificate that the program lists.
func (v *voyage) certificate() string {
	v.t.Helper()
	for line := range strings.Lines(v.ship(0, "certificates", "--json").Stdout) {
		var object struct {
			Type         string
			Certificates []struct{ Facts struct{ Serial string } }
		}
		if err := json.Unmarshal([]byte(line), &object); err == nil && object.Type == "certificates" && len(object.Certificates) == 1 {
			return object.Certificates[0].Facts.Serial
		}
	}
	v.t.Fatal("no certificate is listed")
	return ""
}
