package template

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// spots are places of a Compose file into which %s is put; some refuse sensitive values.
var spots = []string{
	"environment: { A: %q }",
	"environment: [ %q ]",
	"command: %q",
	"command: [ x, %q ]",
	"entrypoint: [ x, %q ]",
	"healthcheck: { test: [ CMD, %q ] }",
	"labels: { l: %q }",
	"image: x:%q",
	"hostname: %q",
	"user: %q",
	"ports: [ %q ]",
	"volumes: [ %q ]",
	"tmpfs: %q",
	"restart: %q",
	"stop_grace_period: %q",
	"mem_limit: %q",
	"depends_on: [ %q ]",
	"networks: { default: { aliases: [ %q ] } }",
	"extra_hosts: [ %q ]",
	"logging: { driver: json-file, options: { tag: %q } }",
	"env_file: %q",
	"build: { context: ., args: { A: %q } }",
	"profiles: [ %q ]",
	"deploy: { replicas: %q }",
	"post_start: [ { command: [ x, %q ] } ]",
	"x-cloudship: { hooks: [ { on: start, run: %q } ] }",
	"x-cloudship: { hooks: [ { on: start, run: x, args: { a: %q } } ] }",
	"x-cloudship: { hooks: [ { on: start, run: x, args: [ %q ] } ] }",
	"x-cloudship: { hooks: [ { on: %q, run: x } ] }",
	"x-cloudship: { hooks: [ { name: %q, run: x } ] }",
	"x-cloudship: { hooks: [ { run: x, timeout: %q } ] }",
	"x-cloudship: { probe: { http: { path: %q } } }",
	"x-cloudship: { probe: { command: [ %q ] } }",
	"x-cloudship: { drain: { start: %q } }",
	"x-cloudship: { host: %q }",
	"x-cloudship: { %q: 1 }",
}

// TestSecretsNeverInTheDocument puts a sensitive value everywhere: the document, its images, the
// diagnostics and the errors must never hold it.
func TestSecretsNeverInTheDocument(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	shapes := []string{"${PW}", "mongodb://user:${PW}@host/db", "${PW:-default}", "${NONE:-${PW}}", "${PW:+${PW}}", "$PW and ${PW}", "${NONE:?${PW}}"}
	used := 0
	for _, spot := range spots {
		for _, shape := range shapes {
			value := fmt.Sprintf("Zq%xpw", rnd.Uint64())
			compose := "services:\n  web:\n    " + fmt.Sprintf(spot, shape) + "\n"
			if !strings.HasPrefix(spot, "image") {
				compose += "    image: nginx\n"
			}
			o := unpack(t, &txtar.Archive{Files: []txtar.File{{Name: "compose.yaml", Data: []byte(compose)}}})
			o.Inputs["PW"] = Input{Value: value, Sensitive: true}
			rendered, err := Render(t.Context(), o)
			if err != nil {
				if strings.Contains(fmt.Sprintf("%v %#v", err, err), value) {
					t.Errorf("%s: the error holds the value: %v", compose, err)
				}
				if strings.ContainsAny(err.Error(), tokenOpen+tokenClose) {
					t.Errorf("%s: the error holds a token: %q", compose, err)
				}
				continue
			}
			document := indent(t, rendered.Release) + indent(t, rendered.Builds) + indent(t, rendered.Images) + rendered.Warnings.Error()
			if strings.Contains(document, value) {
				t.Errorf("%s: the document holds the value:\n%s", compose, document)
			}
			if strings.ContainsAny(document, tokenOpen+tokenClose) {
				t.Errorf("%s: the document holds a token:\n%s", compose, document)
			}
			for _, v := range rendered.Secrets {
				if v == value {
					used++
				}
			}
		}
	}
	if used < 20 {
		t.Errorf("the value was kept %d times only: the test tests nothing", used)
	}
}

func TestSecretsOfFilesAreByDigest(t *testing.T) {
	archive := txtar.Parse([]byte(`
sensitive CERT=planted-cert
-- compose.yaml --
services:
  web:
    image: nginx
    env_file: [app.env, { path: missing.env, required: false }]
    environment: { URL: "x-${CERT}" }
    secrets: [ key, { source: cert, target: tls.crt, uid: "33", mode: 0400 } ]
    configs: [ site ]
    volumes: ["./certs:/certs:ro", "./one.pem:/one.pem"]
configs:
  site: { content: "token ${CERT} {{ web | host_ip }}" }
secrets:
  key: { file: ./key.pem }
  cert: { environment: CERT }
-- app.env --
LEVEL=info
TOKEN=planted-env
URL=overridden
export QUOTED="planted quoted $TOKEN"
-- key.pem --
planted-key
-- certs/a.pem --
planted-tree
-- one.pem --
planted-one
`))
	rendered, err := Render(t.Context(), unpack(t, archive))
	if err != nil {
		t.Fatal(err)
	}
	if document := indent(t, rendered.Release); strings.Contains(document, "planted") {
		t.Errorf("the document holds a value:\n%s", document)
	}
	s, err := rendered.Release.Bind("web", View{HostIP: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = rendered.Release.Reveal(s, rendered.Secrets); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"URL": string(s.Environment["URL"]), "TOKEN": string(s.Environment["TOKEN"]), "QUOTED": string(s.Environment["QUOTED"]), "tree": string(s.Mounts[0].Tree[0].Content)}
	for _, f := range s.Files {
		got[f.Path] = string(f.Content)
	}
	for name, want := range map[string]string{
		"URL": "x-planted-cert", "TOKEN": "planted-env", "QUOTED": "planted quoted planted-env", "tree": "planted-tree\n",
		"/run/secrets/key": "planted-key\n", "/run/secrets/tls.crt": "planted-cert", "/site": "token planted-cert 10.0.0.1", "/one.pem": "planted-one\n",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	var sensitive []string
	for _, d := range rendered.Sensitive {
		sensitive = append(sensitive, rendered.Secrets[d])
	}
	slices.Sort(sensitive)
	if want := []string{"planted quoted planted-env", "planted-cert", "planted-env", "planted-key\n"}; !slices.Equal(sensitive, want) {
		t.Errorf("sensitive: %q, want %q", sensitive, want)
	}
}

func TestRandomIsMadeOncePerPlace(t *testing.T) {
	places := map[string]int{}
	o := unpack(t, txtar.Parse([]byte(`
-- compose.yaml --
services:
  db: { image: db, environment: { PASSWORD: "{{ random | 24 }}", TWO: "{{ random | 8 }}-{{random|8}}" } }
  app: { image: app, environment: { PASSWORD: "{{ db | env_PASSWORD }}" } }
`)))
	o.Random = func(place string, length int) (string, error) {
		places[place]++
		return random(place, length)
	}
	rendered, err := Render(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(places) != 3 || len(rendered.Sensitive) != 3 {
		t.Errorf("places %v, sensitive %v, want 3 of each", places, rendered.Sensitive)
	}
	app, err := rendered.Release.Bind("app", View{})
	if err != nil || app.Environment["PASSWORD"] != rendered.Release.Services["db"].Environment["PASSWORD"] {
		t.Errorf("app reads %q, %v", app.Environment["PASSWORD"], err)
	}
}

func TestBuildsGetTheirSecrets(t *testing.T) {
	o := unpack(t, txtar.Parse([]byte(`
sensitive TOKEN=planted
-- compose.yaml --
services:
  web:
    build: { context: ., args: { TOKEN: "x${TOKEN}" }, secrets: [ key ] }
secrets:
  key: { environment: TOKEN }
`)))
	asked := false
	o.Images = func(_ context.Context, r ImageRequest) (Image, error) {
		asked = true
		for _, text := range []Text{r.Build.Args["TOKEN"], r.Build.Secrets["key"]} {
			digests := SecretsOf(text)
			if len(digests) != 1 || r.Secrets[digests[0]] != "planted" || strings.Contains(string(text), "planted") {
				t.Errorf("%q with %d secrets", text, len(r.Secrets))
			}
		}
		return Image{Digest: "sha256:aa"}, nil
	}
	rendered, err := Render(t.Context(), o)
	if err != nil || !asked || len(rendered.Secrets) != 0 {
		t.Errorf("asked %v, %v; the release needs %d secrets, want none", asked, err, len(rendered.Secrets))
	}
}
