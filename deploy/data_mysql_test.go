package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// mariadb is a MariaDB server of this machine, reached as by programs in its container.
type mariadb struct {
	t      *testing.T
	folder string
	told   said
}

func startMariaDB(t *testing.T) *mariadb {
	t.Helper()
	folder, err := os.MkdirTemp("", "cloudship-mariadb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	m := &mariadb{t: t, folder: folder}
	program := func(name string) string {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		return "/usr/sbin/" + name
	}
	data := filepath.Join(folder, "data")
	as := []string{"--no-defaults", "--datadir=" + data}
	if os.Getuid() == 0 {
		as = append(as, "--user=root")
	}
	if out, err := exec.Command(program("mariadb-install-db"), append(as, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db, which scripts/setup installs: %v\n%s", err, out)
	}
	first := filepath.Join(folder, "first.sql")
	if err := os.WriteFile(first, []byte("ALTER USER root@localhost IDENTIFIED BY 'planted-secret';\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program("mariadbd"), append(as, "--init-file="+first, "--skip-networking", "--socket="+m.socket(), "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M")...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Signal(syscall.SIGTERM); _ = server.Wait() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := m.try("", "SELECT 1"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	m.sql("", "CREATE DATABASE shop")
	m.sql("shop", "CREATE TABLE people(id INT PRIMARY KEY); CREATE TABLE `rows`(say VARCHAR(20), who INT, FOREIGN KEY(who) REFERENCES people(id)) ENGINE=InnoDB; INSERT INTO people VALUES(1)")
	return m
}

func (m *mariadb) socket() string { return filepath.Join(m.folder, "socket") }

// environ is what the container's environment says.
func (m *mariadb) environ() []string {
	return append(os.Environ(), "MYSQL_UNIX_PORT="+m.socket(), "MARIADB_ROOT_PASSWORD=planted-secret", "MARIADB_DATABASE=shop")
}

func (m *mariadb) try(db, text string) (string, error) {
	c := exec.Command("mariadb", "--no-defaults", "-u", "root", "-N", "-B", "-e", text, db)
	c.Env = append(m.environ(), "MYSQL_PWD=planted-secret")
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", text, err, out)
	}
	return strings.TrimSpace(string(out)), err
}

func (m *mariadb) sql(db, text string) string {
	m.t.Helper()
	out, err := m.try(db, text)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

func (m *mariadb) fill(say string, rows int) {
	m.t.Helper()
	m.sql("shop", fmt.Sprintf("DELETE FROM `rows`; INSERT INTO `rows` SELECT '%s', 1 FROM seq_1_to_%d", say, rows))
}

func (m *mariadb) says(db string) string {
	m.t.Helper()
	return m.sql(db, "SELECT say, count(*) FROM `rows` GROUP BY say")
}

func (m *mariadb) databases() string {
	return strings.ReplaceAll(m.sql("", "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'shop%' ORDER BY 1"), "\n", ", ")
}

func (m *mariadb) hold(data Data) *Holding {
	data.Kind, data.Service = DataMySQL, "db"
	h := &Holding{data: data, say: m.told.say}
	h.standing = &rollout{server: resource.Server("one", 0), folder: folder{host: &machineOnDisk{world: &world{t: m.t}}, root: m.t.TempDir()}}
	h.run = func(ctx context.Context, script string, args []string, stdin io.Reader, stdout io.Writer) error {
		c := exec.CommandContext(ctx, "sh", append([]string{"-euc", script, "sh"}, args...)...)
		c.Env, c.Stdin, c.Stdout = m.environ(), stdin, stdout
		var told bytes.Buffer
		c.Stderr = &told
		if err := c.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, told.String())
		}
		return nil
	}
	return h
}

// TestF11ADumpOfMySQLIsStreamedProvenAndRestored does it with a real MariaDB.
func TestF11ADumpOfMySQLIsStreamedProvenAndRestored(t *testing.T) {
	m := startMariaDB(t)
	m.fill("old", 1000)
	var saved bytes.Buffer
	if _, err := m.hold(Data{}).Save(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	m.fill("new", 20)
	check := Data{Check: "SELECT count(*) > 900 FROM `rows`"}
	how, err := m.hold(check).Prove(t.Context(), bytes.NewReader(saved.Bytes()))
	if err != nil || !strings.Contains(how, "check passed") || m.databases() != "shop" {
		t.Fatal(how, err, m.databases())
	}
	open := opens([]byte("no dump"))
	if _, err := m.hold(Data{}).Restore(t.Context(), open, stamp); err == nil || !strings.Contains(err.Error(), "nothing was changed") || m.databases() != "shop" {
		t.Errorf("no dump: %v, there are %s", err, m.databases())
	}
	before, err := m.hold(check).Restore(t.Context(), opens(saved.Bytes()), stamp)
	if err != nil {
		t.Fatal(err)
	}
	if have := m.says("shop"); have != "old\t1000" {
		t.Errorf("restored is %q", have)
	}
	if before != "database shop_before_"+stamp || m.says("shop_before_"+stamp) != "new\t20" {
		t.Errorf("the old one is kept as %q; there are %s", before, m.databases())
	}
	if _, err := m.try("shop", "INSERT INTO `rows` VALUES('x', 2)"); err == nil {
		t.Error("the foreign key does not lead to the restored table")
	}
	m.sql("shop", "CREATE VIEW seen AS SELECT * FROM `rows`")
	if _, err := m.hold(Data{}).Restore(t.Context(), opens(saved.Bytes()), "20260921_190000"); err == nil || !strings.Contains(err.Error(), "views") || m.says("shop") != "old\t1000" {
		t.Errorf("a database with a view: %v; it is %q", err, m.says("shop"))
	}
}
