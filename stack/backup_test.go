package stack

import (
	"testing"
	"time"
)

// TestBackups reads what a backup block says, and what it means where it says nothing.
func TestBackups(t *testing.T) {
	s := read(t, `stack "shop" {}
provider "digitalocean" {}
template "web" { compose = "compose.yaml" }
group "blue" { template = "web" }
group "green" { template = "web" }
group "bare" {}
load_balancer "www" {
  groups = [group.green, group.blue]
  listener "http" { port = 80 }
}
backup "database" {
  service = "app"
  kind    = "sqlite"
  path    = "/data/production.sqlite3"
  check   = "SELECT count(*) FROM users"
  stage   = true
  max_age = "26h"
  keep { last = 10, daily = 7 }
  folder "here" { path = "backups" }
  ssh "box" {
    address  = "192.0.2.9:2222"
    host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkPC1BmbdvDgNXbsXbcsRC1JCNWzjLJmBpwXKo7R4HZ box"
    path     = "/srv/backups"
  }
  bucket "s3" { bucket = "shop", endpoint = "https://s3.example.com" }
}
backup "uploads" {
  group  = group.blue
  volume = "uploads"
  kind   = "files"
  name   = "up-{{timestamp}}.tar"
  folder "here" { path = "~/backups" }
}
backup "queue" {
  service = "queue"
  folder "here" { path = "backups" }
}
`, Options{})
	if len(s.Backups) != 3 {
		t.Fatalf("%d backups, want 3", len(s.Backups))
	}
	d := s.Backup("database")
	if d.Group != "blue" || d.Pattern != "{{timestamp}}.sqlite3" || !d.Stage || d.MaxAge != 26*time.Hour || *d.Keep != (Keep{Last: 10, Daily: 7}) || d.Place != "cloudship.hcl:11" {
		t.Errorf("database is %+v", d)
	}
	if len(d.Targets) != 3 || d.Targets[0].Folder.Path != "backups" || d.Targets[2].Bucket.Endpoint != "https://s3.example.com" {
		t.Errorf("its targets are %+v", d.Targets)
	}
	want := SSHTarget{Address: "192.0.2.9:2222", User: "root", Path: "/srv/backups", Identity: "~/.ssh/id_ed25519", HostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkPC1BmbdvDgNXbsXbcsRC1JCNWzjLJmBpwXKo7R4HZ"}
	if *d.Targets[1].SSH != want {
		t.Errorf("its other server is %+v, want %+v", *d.Targets[1].SSH, want)
	}
	if u := s.Backup("uploads"); u.Group != "blue" || u.Volume != "uploads" || u.Pattern != "up-{{timestamp}}.tar" || u.Keep != nil {
		t.Errorf("uploads is %+v", u)
	}
	if q := s.Backup("queue"); q.Kind != "command" || q.Pattern != "{{timestamp}}" {
		t.Errorf("queue is %+v", q)
	}
}
