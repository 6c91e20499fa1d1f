package template

import (
	"context"
	"testing"
)

// The example's application containers have no port of the server; Nginx has the only one.
func TestP22OnlyNginxHasAPortOfTheServer(t *testing.T) {
	rendered, err := Render(t.Context(), Options{
		Name: "web", Dir: "../examples/proleads",
		Inputs: map[string]Input{
			"IMAGE": {Value: "registry.example.com/proleads/ruby:latest"}, "MONGODB_URL": {Value: "mongodb://db", Sensitive: true}, "REDIS_URL": {Value: "redis://cache", Sensitive: true},
		},
		Images: func(_ context.Context, r ImageRequest) (Image, error) {
			return Image{Name: r.Name, Digest: "sha256:abc", Source: FromRegistry}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if ports := rendered.Release.Services["ruby"].Ports; len(ports) != 0 {
		t.Errorf("ruby has ports of the server: %v", ports)
	}
	ports := rendered.Release.Services["nginx"].Ports
	if len(ports) != 1 || ports[0].Published != 80 || ports[0].Target != 80 {
		t.Errorf("nginx has %v, want 80 alone", ports)
	}
	if n := rendered.Release.Services["ruby"].Replicas; n != 2 {
		t.Errorf("ruby runs %d times, want 2", n)
	}
}
