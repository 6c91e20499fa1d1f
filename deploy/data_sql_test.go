package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// postgres is a PostgreSQL server of this machine, reached as by programs in its container.
type postgres struct {
	t      *testing.T
	folder string
	told   said
}

// postgresProgram finds a program where Debian and others put it.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		t.Fatalf("no %s: scripts/setup installs it", name)
	}
	return found[len(found)-1]
}

func startPostgres(t *testing.T) *postgres {
	t.Helper()
	folder, err := os.MkdirTemp("", "cloudship-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // it refuses to run as root
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		if err := os.Chown(folder, uid, gid); err != nil {
			t.Fatal(err)
		}
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(folder, "data")
	initialise := exec.Command(postgresProgram(t, "initdb"), "--pgdata", data, "--username", "tester", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	initialise.SysProcAttr, initialise.Dir = as, folder
	if out, err := initialise.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(postgresProgram(t, "postgres"), "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off")
	server.SysProcAttr, server.Dir = as, folder
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Signal(syscall.SIGINT); _ = server.Wait() })
	p := &postgres{t: t, folder: folder}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := p.try("postgres", "SELECT 1"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	p.sql("postgres", `CREATE DATABASE "the shop" ENCODING 'UTF8'`)
	p.sql("the shop", `CREATE TABLE rows(say text); CREATE VIEW all_rows AS SELECT * FROM rows`)
	return p
}

// environ is what the container's environment says.
func (p *postgres) environ() []string {
	return append(os.Environ(), "PGHOST="+p.folder, "POSTGRES_USER=tester", "POSTGRES_DB=the shop", "POSTGRES_PASSWORD=planted-secret")
}

func (p *postgres) try(db, text string) (string, error) {
	c := exec.Command("psql", "-X", "-A", "-t", "-U", "tester", "-d", db, "-c", text)
	c.Env = p.environ()
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", text, err, out)
	}
	return strings.TrimSpace(string(out)), err
}

func (p *postgres) sql(db, text string) string {
	p.t.Helper()
	out, err := p.try(db, text)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// fill gives the database rows that all say the same.
func (p *postgres) fill(say string, rows int) {
	p.t.Helper()
	p.sql("the shop", fmt.Sprintf("DELETE FROM rows; INSERT INTO rows SELECT '%s' FROM generate_series(1, %d)", say, rows))
}

func (p *postgres) says(db string) string {
	p.t.Helper()
	return p.sql(db, "SELECT DISTINCT say, count(*) FROM all_rows GROUP BY say")
}

// hold connects to the data as Hold does, but for the container.
func (p *postgres) hold(data Data) *Holding {
	data.Kind, data.Service = DataPostgreSQL, "db"
	h := &Holding{data: data, say: p.told.say}
	h.standing = &rollout{server: resource.Server("one", 0), folder: folder{host: &machineOnDisk{world: &world{t: p.t}}, root: p.t.TempDir()}}
	h.run = func(ctx context.Context, script string, args []string, stdin io.Reader, stdout io.Writer) error {
		c := exec.CommandContext(ctx, "sh", append([]string{"-euc", script, "sh"}, args...)...)
		c.Env, c.Stdin, c.Stdout = p.environ(), stdin, stdout
		var told bytes.Buffer
		c.Stderr = &told
		if err := c.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, told.String())
		}
		return nil
	}
	return h
}

// databases lists those that there are.
func (p *postgres) databases() string {
	return strings.ReplaceAll(p.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1"), "\n", ", ")
}

// TestF11ADumpIsStreamedProvenAndRestored does it with a real PostgreSQL, which an application keeps
// connections to.
func TestF11ADumpIsStreamedProvenAndRestored(t *testing.T) {
	p := startPostgres(t)
	p.fill("old", 1000)
	var saved bytes.Buffer
	if _, err := p.hold(Data{}).Save(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(saved.Bytes(), []byte("planted-secret")) {
		t.Error("the password is in the dump")
	}
	p.fill("new", 20)

	check := Data{Check: "SELECT count(*) > 900 FROM rows"}
	how, err := p.hold(check).Prove(t.Context(), bytes.NewReader(saved.Bytes()))
	if err != nil || !strings.Contains(how, "check passed") {
		t.Fatal(how, err)
	}
	if have := p.databases(); have != "postgres, the shop" || p.says("the shop") != "new|20" {
		t.Errorf("to prove a dump left %s, and %s", have, p.says("the shop"))
	}

	// What is not whole, or not as the check wants it, changes nothing.
	for name, c := range map[string]struct {
		data Data
		from io.Reader
		says string
	}{
		"half a dump":        {Data{}, bytes.NewReader(saved.Bytes()[:saved.Len()/2]), "pg_restore"},
		"no dump":            {Data{}, strings.NewReader("no dump"), "pg_restore"},
		"not what was saved": {Data{}, io.MultiReader(bytes.NewReader(saved.Bytes()), iotest.ErrReader(errRead)), errRead.Error()},
		"a check that fails": {Data{Check: "SELECT count(*) > 2000 FROM rows"}, bytes.NewReader(saved.Bytes()), `answers "f"`},
		"a check that errs":  {Data{Check: "SELECT * FROM nothing"}, bytes.NewReader(saved.Bytes()), "nothing"},
	} {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(c.from), nil }
		if _, err := p.hold(c.data).Restore(t.Context(), open, stamp); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if have := p.databases(); have != "postgres, the shop" || p.says("the shop") != "new|20" {
			t.Errorf("%s left %s, and %s", name, have, p.says("the shop"))
		}
	}

	// An application that stays connected, and connects again.
	ctx, stop := context.WithCancel(t.Context())
	connected := make(chan struct{})
	go func() {
		defer close(connected)
		for ctx.Err() == nil {
			c := exec.CommandContext(ctx, "psql", "-X", "-q", "-U", "tester", "-d", "the shop", "-c", "SELECT pg_sleep(60)")
			c.Env = p.environ()
			_ = c.Run()
		}
	}()
	for p.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'the shop'") == "0" {
		if t.Context().Err() != nil {
			t.Fatal("nobody connects")
		}
	}
	before, err := p.hold(check).Restore(t.Context(), opens(saved.Bytes()), stamp)
	stop()
	<-connected
	if err != nil {
		t.Fatal(err)
	}
	if have := p.says("the shop"); have != "old|1000" {
		t.Errorf("restored is %s", have)
	}
	if have := p.databases(); before != "database the shop_before_"+stamp || have != "postgres, the shop, the shop_before_"+stamp || p.says("the shop_before_"+stamp) != "new|20" {
		t.Errorf("the old one is kept as %q; there are %s", before, have)
	}
}

// TestF11ADumpIsRestoredWhereThereIsNone restores onto a new server, and saves nothing where there is
// nothing.
func TestF11ADumpIsRestoredWhereThereIsNone(t *testing.T) {
	p := startPostgres(t)
	p.fill("old", 10)
	var saved bytes.Buffer
	if _, err := p.hold(Data{}).Save(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	p.sql("postgres", `DROP DATABASE "the shop"`)
	if _, err := p.hold(Data{}).Save(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "the shop") {
		t.Errorf("a database that is not there is saved: %v", err)
	}
	before, err := p.hold(Data{User: "tester", Database: "the shop"}).Restore(t.Context(), opens(saved.Bytes()), stamp)
	if err != nil || before != "" || p.says("the shop") != "old|10" {
		t.Errorf("%q, %v: %s", before, err, p.says("the shop"))
	}
}

var errRead = fmt.Errorf("the sums do not agree")
