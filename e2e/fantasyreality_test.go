//go:build e2e

package e2e

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/e2e/load"
)

// site is the one that the example's proxy answers to.
const site = "fantasyreality.example.com"

// TestFantasyReality has one real server of 512 MB, and updates it in place under clients that keep
// their connections and never send a request twice.
func TestFantasyReality(t *testing.T) {
	t.Parallel()
	v := from(t, "../examples/fantasyreality")
	v.edit("cloudship.hcl",
		`image    = "debian-12"`, `image    = "docker-20-04"`,
		`inputs  = { HOST = var.host }`, `inputs  = { HOST = var.host, IMAGE = var.image }`,
		`provider "digitalocean" {`, "variable \"image\" {}\n\nprovider \"digitalocean\" {")
	v.edit("compose.yaml", "    build: app\n", "    image: ${IMAGE}\n    pull_policy: never\n")
	v.data = []string{"--destroy-data", "data"}
	own := v.image("own", filepath.Join(v.Dir, "app"))
	v.ship(0, "apply", "-y", "--new-key", "--var", "image="+own)
	l := v.kept()
	v.answers(l, "v1")

	t.Run("F3TheServerRunsThreeParts", func(t *testing.T) {
		var parts []string
		for _, c := range v.containers("web") {
			parts = append(parts, c.Names)
		}
		slices.Sort(parts)
		parts = append(parts, strings.Fields(v.on("web", "docker", "volume", "ls", "--quiet"))...)
		if want := "fantasyreality-app-1 fantasyreality-proxy-1 fantasyreality_data"; strings.Join(parts, " ") != want {
			t.Errorf("the server has %v, want %s", parts, want)
		}
	})
	t.Run("F12TheProxyIsStartedAfterWhatItNeeds", func(t *testing.T) {
		at := strings.Fields(v.on("web", "docker", "inspect", "--format", "{{.State.StartedAt}}", "fantasyreality-app-1", "fantasyreality-proxy-1"))
		if len(at) != 2 || at[0] >= at[1] {
			t.Errorf("the application and the proxy were started at %v", at)
		}
	})
	t.Run("F24ItsEngineIsDebians", func(t *testing.T) {
		if have := v.on("web", "docker", "version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}"); !strings.HasPrefix(have, "20.10.") || !strings.HasSuffix(strings.TrimSpace(have), " 1.41") {
			t.Errorf("the engine is %s, want Debian 12's 20.10 with API 1.41", have)
		}
	})
	t.Run("F1AnyLanguage", func(t *testing.T) {
		proxy := v.proxy()
		for _, language := range []string{"go", "rack", "python"} {
			v.ship(0, "apply", "-y", "--var", "image="+v.image(language, filepath.Join("testdata/apps", language)))
			v.answers(l, language)
		}
		if now := v.proxy(); now != proxy {
			t.Errorf("the proxy was %s and is %s", proxy, now)
		}
	})
	l.Stop()
	sent, failed, failures := l.Count()
	t.Logf("load: %d requests over %d connections, %d failed, %d cut", sent, l.Dialed(), failed, l.Cut())
	if failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
	}

	t.Run("F12AfterARebootAllIsBack", func(t *testing.T) {
		booted := func() string { return v.Run(v.ctx, "ssh", "web", "--", "stat", "--format", "%Y", "/proc/1").Stdout }
		before := booted()
		_ = v.Run(v.ctx, "ssh", "web", "--", "systemctl", "reboot") // it ends with the connection
		v.eventually("the server is up again", func() bool { now := booted(); return now != "" && now != before })
		v.eventually("the site answers, and nobody did anything", func() bool { return v.asked() == http.StatusOK })
		v.settled("--var", "image="+v.image("python", "testdata/apps/python"))
	})
}

// asked asks the site once and gives the status, 0 for no answer.
func (v *voyage) asked() int {
	request, err := http.NewRequestWithContext(v.ctx, http.MethodGet, v.url(), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	request.Host = site
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// image builds an image on this machine's engine and gives its name.
func (v *voyage) image(name, folder string) string {
	v.t.Helper()
	image := "cloudship-e2e-" + name + ":latest"
	out, err := exec.CommandContext(v.ctx, "docker", "build", "--quiet", "--tag", image, folder).CombinedOutput()
	if err != nil {
		v.t.Fatalf("build %s: %v\n%s", folder, err, out)
	}
	return image
}

// kept puts a load on the server.
func (v *voyage) kept() *load.Kept {
	address := strings.TrimPrefix(v.url(), "http://") + ":80"
	l := load.StartKept(address, 25, 10, load.Get("http://"+site+"/"), nil)
	v.t.Cleanup(l.Stop)
	return l
}

// answers waits until a load is answered by a version.
func (v *voyage) answers(l *load.Kept, version string) {
	v.t.Helper()
	v.eventually(version+" answers", func() bool { return l.Version() == version })
}

// proxy is the id of the proxy's container.
func (v *voyage) proxy() string {
	v.t.Helper()
	return strings.TrimSpace(v.on("web", "docker", "ps", "--quiet", "--no-trunc", "--filter", "label=com.docker.compose.service=proxy"))
}
