package stack

import (
	"testing"

	"github.com/cloudship/cloudship/resource"
)

const withLog = `
stack "shop" {}
variable "token" { sensitive = true }
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "blue" { template = "web" }
log {
  keep    = "500MB"
  max_age = "14d"
  ship "http" {
    url    = "https://user:${var.token}@logs.example.com/ingest"
    memory = "48MB"
  }
}
`

func TestALogBlockIsWantedOfEveryServer(t *testing.T) {
	s, diags := load(t.TempDir(), []byte(withLog), Options{Environ: []string{"CLOUDSHIP_VAR_token=planted"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	wanted, err := Wants(s, Selection{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, w := range wanted {
		if spec, ok := w.Spec.(*resource.DockerSpec); ok {
			found = true
			if spec.Log == nil || *spec.Log != (resource.Journal{KeepMB: 500, MaxAge: 14 * 24 * 3600}) {
				t.Errorf("%s wants %+v", w.Address, spec.Log)
			}
		}
	}
	if !found {
		t.Fatal("Docker is wanted nowhere")
	}
	ship := s.Log.Ship
	if ship.Sink != "http" || !ship.URL.Sensitive || ship.URL.Text != "https://user:planted@logs.example.com/ingest" || ship.Memory != 48<<20 {
		t.Errorf("%+v", ship)
	}
}
