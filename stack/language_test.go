package stack

import (
	"slices"
	"strings"
	"testing"
)

func TestExpressions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "greeting.txt", "hello\n")
	write(t, dir, "greeting.tmpl", "hello ${name}%{ for x in list }, ${upper(x)}%{ endfor }")
	for expr, want := range map[string]string{
		`format("%s-%03d", "a", 7)`:                                 `"a-007"`,
		`join(",", ["a", "b"])`:                                     `"a,b"`,
		`split(",", "a,b")`:                                         `["a","b"]`,
		`replace("a.b", ".", "-")`:                                  `"a-b"`,
		`regex("[0-9]+", "a12")`:                                    `"12"`,
		`coalesce(null, "b")`:                                       `"b"`,
		`merge({ a = 1 }, { b = 2 })`:                               `{"a":1,"b":2}`,
		`concat([1], [2])`:                                          `[1,2]`,
		`length("größe") + length([1, 2]) + length({ a = 1 })`:      `8`,
		`lookup({ a = 1 }, "b", 2)`:                                 `2`,
		`keys({ b = 1, a = 2 })`:                                    `["a","b"]`,
		`flatten([[1], [2, 3]])`:                                    `[1,2,3]`,
		`distinct([1, 1, 2])`:                                       `[1,2]`,
		`range(3)`:                                                  `[0,1,2]`,
		`toset(["b", "a"])`:                                         `["a","b"]`,
		`tonumber("4") + 1`:                                         `5`,
		`jsonencode({ a = [true] })`:                                `"{\"a\":[true]}"`,
		`jsondecode("{\"a\": 1}").a`:                                `1`,
		`base64decode(base64encode("x"))`:                           `"x"`,
		`sha256("")`:                                                `"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`,
		`cidrsubnet("10.0.0.0/8", 8, 2)`:                            `"10.2.0.0/16"`,
		`cidrsubnet("fd00::/48", 16, 3)`:                            `"fd00:0:0:3::/64"`,
		`cidrhost("10.0.0.0/24", 5)`:                                `"10.0.0.5"`,
		`cidrnetmask("10.0.0.0/20")`:                                `"255.255.240.0"`,
		`startswith("v1", "v") && !endswith("v1", "v")`:             `true`,
		`try(tonumber("x"), 0)`:                                     `0`,
		`can(tonumber("x"))`:                                        `false`,
		`file("greeting.txt")`:                                      `"hello\n"`,
		`fileexists("greeting.txt") && !fileexists("none")`:         `true`,
		`templatefile("greeting.tmpl", { name = "x", list = [] })`:  `"hello x"`,
		`templatefile("greeting.tmpl", { name = 1, list = ["a"] })`: `"hello 1, A"`,
		`[for x in ["a", "b"] : upper(x) if x != "b"]`:              `["A"]`,
		`{ for k, v in { a = 1 } : k => v * 2 }`:                    `{"a":2}`,
		`true ? "yes" : "no"`:                                       `"yes"`,
		`stack.name`:                                                `"shop"`,
		`local.late_to_come`:                                        `"here"`,
		`group.web.size.cpus + group.web.servers`:                   `5`,
		`"${group.web.name} at ${group.web.provider}"`:              `"web at cloud"`,
		`provider.cloud.region`:                                     `"ams3"`,
		`group.web.image`:                                           `"debian-12"`,
		`external.redis.url`:                                        `"redis://10.0.0.5"`,
	} {
		src := "stack \"shop\" {}\noutput \"it\" { value = " + expr + " }\nlocals { late_to_come = \"here\" }\nprovider \"cloud\" { region = \"ams3\" }\n" +
			"group \"web\" {\n  servers = 3\n  size = { cpus = 2 }\n}\nexternal \"redis\" { url = \"redis://10.0.0.5\" }\n"
		s, diags := load(dir, []byte(src), Options{})
		if diags.HasErrors() {
			t.Errorf("%s: %s", expr, printed(t, s, diags))
			continue
		}
		if got := value(t, s); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
}

func TestWrongCallsAreErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "broken.tmpl", "a\n${oops\n")
	write(t, dir, "unknown.tmpl", "${oops}\n")
	for expr, want := range map[string]string{
		`cidrsubnet("10.0.0.0", 8, 2)`:      "want a CIDR",
		`cidrsubnet("10.0.0.0/30", 8, 2)`:   "there are not so many bits left in 10.0.0.0/30",
		`cidrsubnet("10.0.0.0/8", 2, 4)`:    "there is no subnet of that number",
		`cidrhost("10.0.0.0/30", 4)`:        "there is no such host in 10.0.0.0/30",
		`cidrnetmask("fd00::/8")`:           "want an IPv4 CIDR",
		`base64decode("?")`:                 "not in base64",
		`file("/etc/passwd")`:               "/etc/passwd is outside of the stack's folder",
		`file(".")`:                         "is a directory",
		`templatefile("broken.tmpl", {})`:   "broken.tmpl:",
		`templatefile("unknown.tmpl", {})`:  "unknown.tmpl:1",
		`templatefile("unknown.tmpl", "x")`: "want names with values",
		`timestamp()`:                       `there is no function named "timestamp"`,
		`length(5)`:                         "want a list, a map or a text",
		`nothing`:                           `"nothing" refers to nothing`,
		`group`:                             `"group" alone refers to nothing`,
		`group.web[0]`:                      "group.web is no list",
		`group.web.colour`:                  `group "web" has no attribute "colour"`,
		`group.wbe.size`:                    `did you mean "web"?`,
		`local.nothing`:                     `there is no local "nothing"`,
		`stack.nam`:                         `did you mean "name"?`,
		`load_balancer.www.ip`:              `there is no load_balancer "www"`,
		`provider.cloud.token`:              `provider "cloud" has no attribute "token"`,
		`group.web.servers[0].public_ip`:    "group.web.server[0]",
	} {
		src := "stack \"shop\" {}\noutput \"it\" { value = " + expr + " }\nprovider \"cloud\" { region = \"ams3\" }\ngroup \"web\" { size = \"x\" }\n"
		s, diags := load(dir, []byte(src), Options{})
		if said := printed(t, s, diags); !diags.HasErrors() || !strings.Contains(said, want) {
			t.Errorf("%s: said\n%s\nwant %s", expr, said, want)
		}
	}
}

func TestPasswordsAreSensitiveWithoutBeingSaidSo(t *testing.T) {
	src := `stack "shop" {}
provider "cloud" {}
external "db" { url = "mongodb://app:hunter2@10.0.0.5/shop" }
external "open" { url = "redis://10.0.0.6" }
registry "hub" {
  server   = "registry.example.com"
  password = "hunter3"
}
template "web" {
  compose = "compose.yaml"
  inputs  = { DB = external.db.url, OPEN = external.open.url, PASSWORD = registry.hub.password }
}
`
	s := read(t, src, Options{})
	inputs, diags := s.Inputs("web", Facts{})
	if diags.HasErrors() || !inputs["DB"].Sensitive || inputs["OPEN"].Sensitive || !inputs["PASSWORD"].Sensitive {
		t.Errorf("%#v %v", inputs, diags)
	}
	for _, want := range []string{"hunter2", "hunter3", "mongodb://app:hunter2@10.0.0.5/shop"} {
		if !slices.Contains(s.Secrets(), want) {
			t.Errorf("%q is not among the secrets %q", want, s.Secrets())
		}
	}
}
