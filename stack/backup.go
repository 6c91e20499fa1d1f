package stack

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Backup is a backup block: what is saved of a service or volume, how, and where to.
type Backup struct {
	Name     string
	Group    string // whose server it is on; empty where no group runs a template
	Service  string // whose container or volumes; empty with Volume
	Volume   string // of the template
	Kind     string // one of BackupKinds
	Path     string // of files and sqlite: as the container sees it, or below the volume
	Database string // of postgresql and mysql; empty: what the container's environment says
	User     string // the same
	Pattern  string // of the backups' names
	Check    string // SQL or a command that must succeed on a restored copy
	Stage    bool   // it may be staged on the server's disk
	MaxAge   time.Duration
	Keep     *Keep // nil: nothing is ever pruned
	Targets  []BackupTarget
	Place    string
	node     *node
}

// Keep is a keep block: how many backups are kept of each kind.
type Keep struct {
	Last, Daily, Weekly, Monthly int
}

// BackupTarget is a place for backups. Exactly one of its pointers is set.
type BackupTarget struct {
	Name   string
	Folder *FolderTarget
	SSH    *SSHTarget
	Bucket *BucketTarget
	Place  string
}

// FolderTarget is a folder on the machine that the command runs on.
type FolderTarget struct {
	Path string // as written: below the stack's folder, absolute, or with ~/
}

// SSHTarget is a folder on another server, which is known by its host key.
type SSHTarget struct {
	Address  string // a name or an IP, with a port when it is not 22
	User     string
	HostKey  string // as in known_hosts, without the name
	Path     string
	Identity string // file of a private key, as written
}

// BucketTarget is a bucket of an S3-compatible store.
type BucketTarget struct {
	Bucket, Prefix, Region, Endpoint string
}

// BackupKinds are the sources of backups.
var BackupKinds = []string{"files", "sqlite", "postgresql", "mysql", "command"}

// endings are what names of backups end with when nothing is said.
var endings = map[string]string{"files": ".tar", "sqlite": ".sqlite3", "postgresql": ".dump", "mysql": ".sql"}

var backupBlock = &block{name: "backup", labelled: true, help: "data that is saved elsewhere and can be brought back", attributes: []attribute{
	{name: "group", takes: reference, of: "group", help: "whose first server is meant, of a pair behind a load balancer the live one's; may be left out where only one group, or one pair, has a template"},
	{name: "service", takes: text, help: "the service whose data it is"},
	{name: "volume", takes: text, help: "or a volume of the template"},
	{name: "kind", takes: text, help: "files, sqlite, postgresql, mysql or command (default: what `x-cloudship.backup` of the service says)"},
	{name: "path", takes: text, help: "of files and sqlite: as the service sees it, or below the volume"},
	{name: "database", takes: text, help: "of postgresql and mysql: its name; what the container's environment says when not said"},
	{name: "user", takes: text, help: "of postgresql and mysql: who reads and restores it; what the container's environment says when not said"},
	{name: "name", takes: text, help: "how backups are named; \"{{timestamp}}.sqlite3\", .tar, .dump or .sql by their kind when not said"},
	{name: "check", takes: text, help: "SQL, or a shell command for files and command, that must succeed on a restored copy"},
	{name: "stage", takes: yesNo, help: "let the server's disk hold a copy meanwhile"},
	{name: "max_age", takes: duration, help: "\"26h\": status and plan warn when the newest proven backup is older"},
}, blocks: []*block{
	{name: "keep", single: true, help: "which backups are kept when a new one has been made; all when not said", attributes: []attribute{
		{name: "last", takes: number, help: "the newest so many"},
		{name: "daily", takes: number, help: "the newest of each of so many days"},
		{name: "weekly", takes: number},
		{name: "monthly", takes: number},
	}},
	{name: "folder", labelled: true, help: "a target: a folder on the machine where the command runs", attributes: []attribute{
		{name: "path", takes: text, required: true, help: "below this file's folder, absolute, or beginning with ~/"},
	}},
	{name: "ssh", labelled: true, help: "a target: a folder on another server", attributes: []attribute{
		{name: "address", takes: text, required: true, help: "a name or an IP, with a port when it is not 22"},
		{name: "user", takes: text, help: "root when not said"},
		{name: "host_key", takes: text, required: true, help: "\"ssh-ed25519 AAAA...\": no other is accepted"},
		{name: "path", takes: text, required: true, help: "an absolute path there"},
		{name: "identity", takes: text, help: "file of the private key to log in with; ~/.ssh/id_ed25519 when not said"},
	}},
	{name: "bucket", labelled: true, help: "a target: a bucket of an S3-compatible store; credentials come from the environment, as for the state", attributes: []attribute{
		{name: "bucket", takes: text, required: true},
		{name: "prefix", takes: text},
		{name: "region", takes: text},
		{name: "endpoint", takes: location, help: "of a store that is not Amazon's"},
	}},
}}

const maxKept = 10000

func (l *loader) buildBackup(n *node) *Backup {
	b := &Backup{
		Name: n.label, Group: l.text(n, "group"), Service: l.text(n, "service"), Volume: l.text(n, "volume"), Kind: l.oneWord(n, "kind", "command", BackupKinds...),
		Path: l.text(n, "path"), Database: l.text(n, "database"), User: l.text(n, "user"), Check: l.text(n, "check"), Stage: l.flag(n, "stage"),
		MaxAge: l.span(n, "max_age", 0, time.Minute, 10*365*24*time.Hour), Place: place(n.at), node: n,
	}
	b.Pattern = orElse(l.text(n, "name"), "{{timestamp}}"+endings[b.Kind])
	l.checkSource(n, b)
	if inner := n.only("keep"); inner != nil {
		b.Keep = &Keep{Last: l.number(inner, "last", 0, 0, maxKept), Daily: l.number(inner, "daily", 0, 0, maxKept), Weekly: l.number(inner, "weekly", 0, 0, maxKept), Monthly: l.number(inner, "monthly", 0, 0, maxKept)}
		if *b.Keep == (Keep{}) {
			l.report(fault(inner.at, fmt.Sprintf("keep of %s keeps nothing", n.title()), "want last, daily, weekly or monthly above 0", "leave the block out to keep all"))
		}
	}
	for _, kind := range []string{"folder", "ssh", "bucket"} {
		for _, inner := range n.inner(kind) {
			b.Targets = append(b.Targets, l.buildTarget(inner, b.Targets))
		}
	}
	if len(b.Targets) == 0 {
		l.report(fault(n.at, fmt.Sprintf("%s has no target", n.title()), "want at least one folder, ssh or bucket block in it", `write folder "here" { path = "backups" }`))
	}
	return b
}

// checkSource holds the rules of what is saved.
func (l *loader) checkSource(n *node, b *Backup) {
	written := func(name string) bool { return n.attributes[name] != nil }
	if kind := l.text(n, "kind"); kind != "" && !slices.Contains(BackupKinds, kind) {
		return // that was said
	}
	switch {
	case b.Service == "" && b.Volume == "":
		l.report(fault(n.at, fmt.Sprintf("%s does not say whose data it is", n.title()), `want service = "NAME" or volume = "NAME"`, ""))
	case written("service") && written("volume"):
		l.report(fault(n.where("volume"), fmt.Sprintf("%s names a service and a volume", n.title()), "want one of them", ""))
	case b.Volume != "" && b.Kind != "files" && b.Kind != "sqlite":
		l.report(fault(n.where("volume"), fmt.Sprintf("%s of kind %s is made by a service", n.title(), b.Kind), `want service = "NAME"`, "a volume alone can be saved as files or sqlite"))
	}
	onDisk := b.Kind == "files" || b.Kind == "sqlite"
	switch {
	case written("path") && !onDisk:
		l.report(fault(n.where("path"), fmt.Sprintf("%s of kind %s has no path", n.title(), b.Kind), "", `say kind = "files" or kind = "sqlite"`))
	case b.Service != "" && onDisk && !strings.HasPrefix(b.Path, "/"):
		l.report(fault(n.where("path"), fmt.Sprintf("%s of kind %s needs a path", n.title(), b.Kind), `want it as the container sees it: path = "/data/production.sqlite3"`, ""))
	case b.Volume != "" && b.Kind == "sqlite" && b.Path == "":
		l.report(fault(n.at, fmt.Sprintf("%s does not say which file of the volume", n.title()), `want path = "production.sqlite3"`, ""))
	}
	if slices.Contains(strings.Split(b.Path, "/"), "..") {
		l.report(fault(n.where("path"), fmt.Sprintf("path of %s leads up", n.title()), "want it without ..", ""))
	}
	for _, name := range []string{"database", "user"} {
		if written(name) && b.Kind != "postgresql" && b.Kind != "mysql" {
			l.report(fault(n.where(name), fmt.Sprintf("%s of kind %s has no %s", n.title(), b.Kind, name), "", `say kind = "postgresql" or kind = "mysql"`))
		}
	}
	if b.Stage && b.Kind != "sqlite" {
		l.report(fault(n.where("stage"), fmt.Sprintf("%s of kind %s is never staged", n.title(), b.Kind), "only sqlite can be", "leave it out"))
	}
}

func (l *loader) buildTarget(n *node, others []BackupTarget) BackupTarget {
	t := BackupTarget{Name: n.label, Place: place(n.at)}
	for _, other := range others {
		if other.Name == n.label {
			l.report(fault(n.at, fmt.Sprintf("there is a target %q already", n.label), "the first is at "+other.Place, ""))
		}
	}
	switch n.block.name {
	case "folder":
		t.Folder = &FolderTarget{Path: l.text(n, "path")}
	case "ssh":
		t.SSH = &SSHTarget{Address: l.text(n, "address"), User: orElse(l.text(n, "user"), "root"), Path: l.text(n, "path"), Identity: orElse(l.text(n, "identity"), "~/.ssh/id_ed25519")}
		if line := l.text(n, "host_key"); line != "" {
			key, err := publicKey(line)
			if err != nil {
				l.report(fault(n.where("host_key"), fmt.Sprintf("%s: %s", n.title(), err), "want the server's public host key in one line: ssh-ed25519 AAAA...", "the server has it in /etc/ssh/ssh_host_ed25519_key.pub"))
			}
			t.SSH.HostKey = key
		}
		if t.SSH.Path != "" && !strings.HasPrefix(t.SSH.Path, "/") {
			l.report(fault(n.where("path"), fmt.Sprintf("%q is no absolute path", t.SSH.Path), `want path = "/srv/backups"`, ""))
		}
	case "bucket":
		t.Bucket = &BucketTarget{Bucket: l.text(n, "bucket"), Prefix: l.text(n, "prefix"), Region: l.text(n, "region"), Endpoint: l.text(n, "endpoint")}
	}
	return t
}

// checkBackup finds the group of a backup, and holds the rules between the two.
func (l *loader) checkBackup(b *Backup) {
	if b.Group != "" {
		if l.stack.Group(b.Group).Template == "" {
			l.report(fault(b.node.where("group"), fmt.Sprintf("group %q runs no template", b.Group), "want one that does", ""))
		}
		return
	}
	var groups []*Group
	for _, g := range l.stack.Groups {
		if g.Template != "" && !slices.ContainsFunc(groups, func(o *Group) bool { return o.Twin == g.Name }) {
			groups = append(groups, g)
		}
	}
	switch len(groups) {
	case 0:
		l.report(fault(b.node.at, fmt.Sprintf("%s has no group: none runs a template", b.node.title()), "", ""))
	case 1:
		b.Group = groups[0].Name
	default:
		var names []string
		for _, g := range groups {
			names = append(names, g.Name)
		}
		l.report(fault(b.node.at, fmt.Sprintf("%s does not say whose servers it is on", b.node.title()), oneOf(names), "write group = \""+names[0]+"\""))
	}
}

// Backup is the backup block of a name, or nil.
func (s *Stack) Backup(name string) *Backup {
	return first(s.Backups, func(b *Backup) bool { return b.Name == name })
}
