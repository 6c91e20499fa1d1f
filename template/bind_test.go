package template

import (
	"errors"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// cluster is a release with one nginx and a cluster of ruby, and what is running of it.
func cluster(replicas int) (*Release, View) {
	r := &Release{Format: Format, Services: map[string]Service{
		"ruby": {Replicas: replicas, Environment: map[string]Text{"PORT": "9292", "SELF": "{{ db | env_URL }}/x"}},
		"db":   {Replicas: 1, Environment: map[string]Text{"URL": "db://{{ db | host_ip }}:{{ db | port_5432 }}"}},
		"web":  {Replicas: 1},
	}}
	v := View{HostIP: "203.0.113.7", Containers: []resource.Container{
		{Service: "db", Number: 1, Name: "web-db-1", PrivateIP: "172.18.0.2", Ports: map[string]int{"5432/tcp": 32768}},
	}}
	for i := replicas; i > 0; i-- { // in no order of use
		n := string(rune('0' + i))
		v.Containers = append(v.Containers, resource.Container{Service: "ruby", Number: i, Name: "web-ruby-" + n, PrivateIP: "172.18.0.1" + n, Ports: map[string]int{"9292/tcp": 40000 + i}})
	}
	return r, v
}

func TestP8BindingsRepeatOverACluster(t *testing.T) {
	for _, test := range []struct {
		name  string
		value Text
		env   string
		lines string
	}{
		{"plain", "as it is {{.State}}", "as it is {{.State}}", "as it is {{.State}}"},
		{"one", "{{db|container_name}}", "web-db-1", "web-db-1"},
		{"fan-out", "{{ ruby | container_private_ip }}:8080", "172.18.0.11:8080,172.18.0.12:8080", "172.18.0.11:8080\n172.18.0.12:8080"},
		{"in step", "{{ ruby | container_name }}={{ ruby | container_private_ip }}", "web-ruby-1=172.18.0.11,web-ruby-2=172.18.0.12", "web-ruby-1=172.18.0.11\nweb-ruby-2=172.18.0.12"},
		{"every pair", "{{ ruby | container_name }}@{{ db | container_name }}", "web-ruby-1@web-db-1,web-ruby-2@web-db-1", "web-ruby-1@web-db-1\nweb-ruby-2@web-db-1"},
		{"host port", "{{ ruby | host_ip }}:{{ ruby | port_9292 }}", "203.0.113.7:40001,203.0.113.7:40002", "203.0.113.7:40001\n203.0.113.7:40002"},
		{"host only", "{{ ruby | host_ip }}", "203.0.113.7", "203.0.113.7"},
		{"variable", "p{{ ruby | env_PORT }}", "p9292", "p9292"},
		{"variable with references", "{{ ruby | env_SELF }}", "db://203.0.113.7:32768/x", "db://203.0.113.7:32768/x"},
		{"lines", "a\nserver {{ ruby | container_name }};\nb\n", "a\nserver web-ruby-1;\nb\n,a\nserver web-ruby-2;\nb\n", "a\nserver web-ruby-1;\nserver web-ruby-2;\nb\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, v := cluster(2)
			r.Services["web"] = Service{
				Environment: map[string]Text{"V": test.value},
				Files:       []File{{Path: "/f", Content: test.value, Bound: true}, {Path: "/g", Content: test.value}},
			}
			s, err := r.Bind("web", v)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(s.Environment["V"]); got != test.env {
				t.Errorf("environment: got %q, want %q", got, test.env)
			}
			if got := string(s.Files[0].Content); got != test.lines {
				t.Errorf("file: got %q, want %q", got, test.lines)
			}
			if s.Files[1].Content != test.value {
				t.Errorf("a file that is not rendered changed: %q", s.Files[1].Content)
			}
			if r.Services["web"].Files[0].Content != test.value {
				t.Error("the release itself changed")
			}
		})
	}
}

func TestBindHookRepeatsArguments(t *testing.T) {
	r, v := cluster(2)
	h, err := r.BindHook(Hook{Name: "upstreams", Command: []Text{"run", "--to={{ ruby | container_name }}"}, Args: []Argument{
		{Name: "servers", Value: "server {{ ruby | container_private_ip }}:8080;"},
		{Value: "{{ ruby | container_name }}"},
		{Value: "last"},
	}}, v)
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, a := range h.Args {
		args = append(args, a.Name+"="+string(a.Value))
	}
	if got, want := strings.Join(args, "|"), "servers=server 172.18.0.11:8080; server 172.18.0.12:8080;|=web-ruby-1|=web-ruby-2|=last"; got != want {
		t.Errorf("arguments: got %s, want %s", got, want)
	}
	if len(h.Command) != 3 || h.Command[2] != "--to=web-ruby-2" {
		t.Errorf("command: %q", h.Command)
	}
}

func TestReferencesOfAnEndingServiceAreEmpty(t *testing.T) {
	r, _ := cluster(2)
	hook := Hook{Name: "site", Args: []Argument{{Name: "APPS", Value: "{{ ruby | container_name }}"}}}
	var missing *MissingError
	if _, err := r.BindHook(hook, View{}); !errors.As(err, &missing) {
		t.Errorf("before its containers come: %v", err)
	}
	bound, err := r.BindHook(hook, View{Ending: true})
	if err != nil || len(bound.Args) != 1 || bound.Args[0].Value != "" {
		t.Errorf("at its end: %+v, %v", bound.Args, err)
	}
}

func TestBindOfWhatIsMissing(t *testing.T) {
	r, _ := cluster(2)
	r.Services["web"] = Service{Environment: map[string]Text{"V": "{{ ruby | container_name }}"}}
	_, err := r.Bind("web", View{})
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Ref.Service != "ruby" {
		t.Errorf("no container yet: got %v, want a MissingError", err)
	}
	s := r.Services["ruby"]
	s.Replicas = 0
	r.Services["ruby"] = s
	if got, err := r.Bind("web", View{}); err != nil || got.Environment["V"] != "" {
		t.Errorf("a cluster scaled to nothing: got %q, %v, want nothing", got.Environment["V"], err)
	}
}

func TestRevealPutsSecretsIn(t *testing.T) {
	r := &Release{Secrets: []string{"abc"}}
	s := Service{Environment: map[string]Text{"URL": "db://u:${secret:abc}@h", "OTHER": "${secret:def}"}, Files: []File{{Content: "aGVsbG8=", Base64: true}}}
	out, err := r.Reveal(s, map[string]string{"abc": "pw"})
	if err != nil || out.Environment["URL"] != "db://u:pw@h" || out.Environment["OTHER"] != "${secret:def}" {
		t.Errorf("got %v, %v", out.Environment, err)
	}
	if b, err := out.Files[0].Bytes(); err != nil || string(b) != "hello" {
		t.Errorf("bytes: got %q, %v", b, err)
	}
	if s.Environment["URL"] != "db://u:${secret:abc}@h" {
		t.Error("the service itself changed")
	}
	if _, err := r.Reveal(s, nil); err == nil || strings.Contains(err.Error(), "pw") {
		t.Errorf("a value that is missing: got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a", "{{ a | b }}", "{{{{ a | b }}", "{{a|b}}{{c|env_D}}", "{{ a | b", "{{ | }}", "${secret:x} {{ random | 24 }}", "{{ a |b}} }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var out strings.Builder
		for _, p := range parse(Text(s)) {
			if p.ref == (Ref{}) {
				out.WriteString(p.text)
				continue
			}
			if p.ref.Service == "" || p.ref.What == "" {
				t.Fatalf("empty reference in %q", s)
			}
			if again := Text(p.ref.String()).Refs(); len(again) != 1 || again[0] != p.ref {
				t.Fatalf("%v does not read back: %v", p.ref, again)
			}
			out.WriteString(p.ref.String())
		}
		spaces := strings.NewReplacer(" ", "", "\t", "", "\n", "", "\f", "", "\r", "")
		if spaces.Replace(out.String()) != spaces.Replace(s) {
			t.Fatalf("%q became %q", s, out.String())
		}
		r, v := cluster(2)
		r.Services["web"] = Service{Environment: map[string]Text{"V": Text(s)}, Files: []File{{Content: Text(s), Bound: true}}}
		bound, err := r.Bind("web", v)
		if err == nil && strings.Contains(s, "{{") == false && string(bound.Environment["V"]) != s {
			t.Fatalf("%q without references became %q", s, bound.Environment["V"])
		}
	})
}
