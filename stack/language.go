package stack

import (
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// takes says what kind of value an attribute takes.
type takes int

const (
	text       takes = iota // a string
	location                // a URL; with a password in it, it is sensitive
	number                  // a whole number
	yesNo                   // true or false
	duration                // "90s", "2m", "14d", or seconds as a number
	sizing                  // a size's name, or { cpus, memory, disk }
	texts                   // a list of strings
	oneOrMore               // a string or a list of strings
	textMap                 // a map of strings
	numberMap               // a map of whole numbers
	commands                // a list of commands, each a list of words
	reference               // a block of kind `of`, by reference or by name
	references              // a list of them
	anything                // whatever the expression gives
	typeName                // a type: string, list(number), ...
)

// attribute is one line of a block.
type attribute struct {
	name     string
	takes    takes
	of       string // of a reference: the kind of block
	required bool
	secret   bool      // sensitive values are let in
	hidden   bool      // its value is sensitive, whether or not that is said
	late     bool      // facts that are found later are let in
	fallback cty.Value // what references see where it is not written; NilVal is null
	help     string
}

// block is a kind of block. Where it is free, its attributes are not ours to know.
type block struct {
	name       string
	labelled   bool
	wide       bool // its label is any identifier, rather than a resource's label
	single     bool // at most one in its place
	free       bool
	attributes []attribute
	blocks     []*block
	help       string
}

func (b *block) attribute(name string) *attribute {
	for i := range b.attributes {
		if b.attributes[i].name == name {
			return &b.attributes[i]
		}
	}
	return nil
}

func (b *block) block(name string) *block {
	for _, inner := range b.blocks {
		if inner.name == name {
			return inner
		}
	}
	return nil
}

// names lists what may stand in the block.
func (b *block) names() []string {
	var names []string
	for _, a := range b.attributes {
		names = append(names, a.name)
	}
	for _, inner := range b.blocks {
		if !slices.Contains(names, inner.name) {
			names = append(names, inner.name)
		}
	}
	return names
}

var options = &block{name: "options", single: true, free: true, help: "extras that only this provider reads"}

var certificate = &block{name: "certificate", single: true, help: "what TLS is answered with", attributes: []attribute{
	{name: "name", takes: text, help: "a certificate that exists in the cloud"},
	{name: "chain", takes: text, help: "PEM, leaf first: file(\"www.pem\")"},
	{name: "private_key", takes: text, secret: true, hidden: true, help: "PEM: secret_file(\"www.key\")"},
}}

var rule = []attribute{
	{name: "protocol", takes: text, help: "tcp (default), udp or icmp"},
	{name: "ports", takes: anything, help: "80, \"8000-9000\" or \"all\""},
	{name: "addresses", takes: texts, help: "CIDRs of the other side; everybody when nothing is said"},
	{name: "groups", takes: references, of: "group", help: "groups as the other side"},
	{name: "load_balancers", takes: references, of: "load_balancer", help: "load balancers as the other side"},
}

var provider = attribute{name: "provider", takes: reference, of: "provider", help: "which cloud; may be left out where there is one"}

// language is the stack file: the block around all others.
var language = &block{name: "stack file", blocks: []*block{
	{name: "stack", labelled: true, single: true, help: "the stack's name", attributes: []attribute{
		{name: "state", takes: location, secret: true, help: "where the state is kept; a folder beside this file when not said"},
	}},
	{name: "variable", labelled: true, wide: true, help: "a value from outside", attributes: []attribute{
		{name: "type", takes: typeName, help: "string (default), number, bool, list(string), ..."},
		{name: "default", takes: anything, secret: true, help: "without one the value must be given"},
		{name: "sensitive", takes: yesNo, help: "its value is never shown"},
		{name: "description", takes: text, help: "shown where the value is asked for"},
	}, blocks: []*block{{name: "validation", help: "a condition that the value must meet", attributes: []attribute{
		{name: "condition", takes: yesNo, required: true, secret: true},
		{name: "error_message", takes: text, required: true},
	}}}},
	{name: "locals", free: true, help: "names for expressions"},
	{name: "output", labelled: true, wide: true, help: "a value to show", attributes: []attribute{
		{name: "value", takes: anything, required: true, secret: true, late: true},
		{name: "sensitive", takes: yesNo, help: "shown only when asked for by name"},
		{name: "description", takes: text},
	}},
	{name: "provider", labelled: true, free: true, help: "a cloud and how to reach it; credentials come from its environment variables"},
	{name: "template", labelled: true, help: "an application, as a Compose file", attributes: []attribute{
		{name: "compose", takes: oneOrMore, required: true, help: "one file, or several that are merged"},
		{name: "inputs", takes: anything, secret: true, late: true, help: "values for ${NAME} in the Compose file"},
		{name: "profiles", takes: texts},
		{name: "scale", takes: numberMap, help: "replicas per service, over the Compose file's"},
	}},
	{name: "group", labelled: true, help: "equal servers that run one release", attributes: []attribute{
		provider,
		{name: "servers", takes: number, fallback: cty.NumberIntVal(1), help: "how many; 1 when not said"},
		{name: "size", takes: sizing, help: "{ cpus = 1, memory = \"1GB\" } or the cloud's own name"},
		{name: "image", takes: text, fallback: cty.StringVal(defaultImage), help: "debian-12 (default), debian-13, ubuntu-24.04, ... or the cloud's own name"},
		{name: "region", takes: text},
		{name: "template", takes: reference, of: "template"},
		{name: "network", takes: reference, of: "network"},
		{name: "keys", takes: references, of: "ssh_key", help: "who may log in; every ssh_key when not said"},
		{name: "docker", takes: text, help: "where a missing Docker comes from: distribution or docker"},
	}, blocks: []*block{options}},
	{name: "load_balancer", labelled: true, help: "a provider's load balancer before one or two groups", attributes: []attribute{
		provider,
		{name: "groups", takes: references, of: "group", required: true, help: "one or two; the first is live until a switch says otherwise"},
		{name: "region", takes: text},
		{name: "network", takes: reference, of: "network"},
		{name: "redirect_http", takes: yesNo, help: "send plain HTTP on to HTTPS"},
		{name: "proxy_protocol", takes: yesNo, help: "tell the servers the client's address by the PROXY protocol"},
		{name: "idle_timeout", takes: duration},
	}, blocks: []*block{
		{name: "listener", labelled: true, help: "a port that it answers on", attributes: []attribute{
			{name: "port", takes: number, required: true},
			{name: "protocol", takes: text, help: "http, https, http2 or tcp; https for port 443, else http, when not said"},
			{name: "target_port", takes: number, help: "the servers' port; port when not said"},
			{name: "target_protocol", takes: text, help: "http, or tcp for tcp, when not said"},
			{name: "tls_passthrough", takes: yesNo, help: "the servers answer TLS themselves"},
			{name: "certificate", takes: text, help: "the name of a certificate that exists in the cloud"},
		}, blocks: []*block{certificate}},
		{name: "health_check", single: true, help: "how it is decided whether a server gets traffic", attributes: []attribute{
			{name: "protocol", takes: text, help: "http, https or tcp; as the first listener's target when not said"},
			{name: "port", takes: number, help: "the first listener's target_port when not said"},
			{name: "path", takes: text, help: "/ when not said"},
			{name: "interval", takes: duration, help: "5s when not said"},
			{name: "timeout", takes: duration, help: "3s when not said"},
			{name: "healthy", takes: number, help: "passes in a row until a server gets traffic; 2 when not said"},
			{name: "unhealthy", takes: number, help: "failures in a row until it gets none; 3 when not said"},
		}},
		{name: "sticky", single: true, help: "keeps a client at one server by a cookie", attributes: []attribute{
			{name: "cookie", takes: text, help: "its name; cloudship when not said"},
			{name: "ttl", takes: duration, help: "5m when not said"},
		}},
		{name: "switch", single: true, help: "how traffic is moved to the idle group", attributes: []attribute{
			{name: "test", takes: commands, help: "[[\"./smoke.sh\"]]: they get CLOUDSHIP_TEST_URL"},
			{name: "watch", takes: duration, help: "how long it is watched afterwards; 1m when not said"},
		}, blocks: []*block{{name: "probe", help: "a request through the load balancer that must succeed during a switch; the health check's path when there is none", attributes: []attribute{
			{name: "path", takes: text, required: true},
			{name: "expect", takes: number, help: "a status; any below 500 when not said"},
			{name: "contains", takes: text},
			{name: "host", takes: text},
			{name: "listener", takes: text},
			{name: "max_failed", takes: number},
			{name: "interval", takes: duration},
			{name: "timeout", takes: duration},
		}}}},
		options,
	}},
	{name: "ssh_key", labelled: true, help: "a user's public key", attributes: []attribute{
		provider,
		{name: "public_key", takes: text},
		{name: "file", takes: text, help: "\"~/.ssh/id_ed25519.pub\""},
	}},
	{name: "network", labelled: true, help: "a private network", attributes: []attribute{
		provider,
		{name: "region", takes: text},
		{name: "ip_range", takes: text, help: "\"10.10.0.0/20\"; the cloud chooses when not said"},
	}, blocks: []*block{options}},
	{name: "firewall", labelled: true, help: "which traffic reaches groups", attributes: []attribute{
		provider,
		{name: "groups", takes: references, of: "group", required: true},
	}, blocks: []*block{
		{name: "inbound", help: "lets traffic in; without one nothing passes", attributes: rule},
		{name: "outbound", help: "lets traffic out; without one nothing passes", attributes: rule},
		options,
	}},
	certificateBlock,
	{name: "external", labelled: true, help: "a service that exists already: probed, never changed", attributes: []attribute{
		{name: "url", takes: location, required: true, secret: true},
	}},
	{name: "registry", labelled: true, help: "where images come from and go to", attributes: []attribute{
		{name: "server", takes: text, required: true},
		{name: "username", takes: text, secret: true},
		{name: "password", takes: text, secret: true, hidden: true},
		{name: "command", takes: texts, help: "a command that prints the password"},
		{name: "helper", takes: text, help: "one of Docker's credential helpers"},
	}},
	{name: "log", single: true, help: "keeps what containers print on their server, also when they are gone", attributes: []attribute{
		{name: "keep", takes: text, help: "how much on each server: \"200MB\" when not said"},
		{name: "max_age", takes: duration, help: "\"14d\"; as long as keep allows when not said"},
	}, blocks: []*block{{name: "ship", labelled: true, single: true, help: "sends it on as well: to \"http\", \"loki\", \"syslog\" or \"file\"", attributes: []attribute{
		{name: "url", takes: location, secret: true, help: "https://..., or tcp://HOST:PORT or tls://HOST:PORT for syslog"},
		{name: "path", takes: text, help: "of file: on each server"},
		{name: "image", takes: text, help: "syslog-ng 3.38 or newer"},
		{name: "memory", takes: text, help: "the shipper's limit; \"64MB\" when not said"},
	}}}},
	statsBlock,
	{name: "build", labelled: true, help: "an image that is built here", attributes: []attribute{
		{name: "context", takes: text, help: "a directory"},
		{name: "git", takes: location, secret: true, help: "a repository"},
		{name: "ref", takes: text, help: "branch, tag or commit of the repository"},
		{name: "key", takes: text, secret: true, hidden: true, help: "private key for the repository: secret_file(\"~/.ssh/deploy\")"},
		{name: "dockerfile", takes: text},
		{name: "target", takes: text},
		{name: "args", takes: textMap, help: "build arguments; they stay in the image, so they cannot be secret"},
		{name: "repository", takes: text, help: "the image's name, without registry and tag; the block's label when not said"},
		{name: "tags", takes: texts, help: "[\"latest\", \"{{timestamp}}\"]"},
		{name: "registry", takes: reference, of: "registry"},
		{name: "push", takes: yesNo},
	}},
	backupBlock,
}}

// referable lists the kinds of blocks whose attributes other blocks may read.
var referable = []string{"provider", "template", "group", "load_balancer", "ssh_key", "network", "firewall", "certificate", "external", "registry", "build"}
