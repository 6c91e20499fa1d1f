package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// database is a database with writers of its own processes. Every transaction writes a row with an
// equal number to the tables a and b, a large one and a small one, renews an old row, and counts
// itself in n.
type database struct {
	t    *testing.T
	path string

	mu    sync.Mutex
	acked int // the newest number whose commit a writer has seen
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// begin makes a database in a journal mode.
func begin(t *testing.T, mode string) *database {
	t.Helper()
	d := &database{t: t, path: filepath.Join(t.TempDir(), "it's live.sqlite3")}
	d.sql(d.path, `PRAGMA journal_mode=`+mode+`; CREATE TABLE a(i INTEGER PRIMARY KEY, x BLOB); CREATE TABLE b(i INTEGER PRIMARY KEY, y BLOB);
CREATE INDEX ax ON a(x); CREATE TABLE n(n INTEGER); INSERT INTO n VALUES(0);`)
	return d
}

// sql runs SQL and gives what it prints.
func (d *database) sql(path, text string) string {
	d.t.Helper()
	out, err := exec.CommandContext(d.t.Context(), "sqlite3", "-batch", "-bail", "-cmd", ".timeout 20000", path, text).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v: %s", text, err, out)
	}
	return strings.TrimSpace(string(out))
}

// write has a process write transactions, one after the other as fast as it can, until halt. Between
// them go the statements of every.
func (d *database) write(every ...string) {
	ctx, stop := context.WithCancel(d.t.Context())
	d.stop = stop
	c := exec.CommandContext(ctx, "sqlite3", "-batch", "-bail", "-cmd", ".timeout 20000", d.path)
	in, err := c.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.ended.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			fmt.Fprint(in, `BEGIN IMMEDIATE;
UPDATE n SET n=n+1;
INSERT INTO a SELECT n, randomblob(9000) FROM n;
INSERT INTO b SELECT n, randomblob(50) FROM n;
UPDATE a SET x=randomblob(8000) WHERE i=(SELECT abs(random())%n+1 FROM n);
COMMIT;
SELECT n FROM n;
`)
			if len(every) > 0 {
				fmt.Fprintln(in, every[i%len(every)])
			}
		}
		_ = in.Close()
	})
	d.ended.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				d.mu.Lock()
				d.acked = max(d.acked, n)
				d.mu.Unlock()
			}
		}
		_ = c.Wait()
	})
}

func (d *database) halt() {
	d.stop()
	d.ended.Wait()
}

func (d *database) newest() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acked
}

// await waits until so many transactions more were committed.
func (d *database) await(more int) {
	d.t.Helper()
	for want, deadline := d.newest()+more, time.Now().Add(time.Minute); d.newest() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatal("the writer does not get on")
		}
	}
}

// wrong says what is wrong with a copy, or "".
func (d *database) wrong(path string, least int) string {
	out, err := exec.CommandContext(d.t.Context(), "sqlite3", "-batch", path, `PRAGMA integrity_check; SELECT (SELECT n FROM n) >= `+strconv.Itoa(least)+`,
(SELECT n FROM n) = (SELECT count(*) FROM a), (SELECT n FROM n) = (SELECT count(*) FROM b), (SELECT n FROM n) = (SELECT max(i) FROM a);`).CombinedOutput()
	if text := strings.TrimSpace(string(out)); err != nil || text != "ok\n1|1|1|1" {
		return fmt.Sprintf("%v %s", err, text)
	}
	return ""
}

// snapshot reads the database by the script.
func (d *database) snapshot(to io.Writer, stage string, slow time.Duration) (Found, error) {
	for {
		found, err := d.once(to, stage, slow)
		if !errors.Is(err, ErrMoved) {
			return found, err
		}
		d.t.Log("read again: the log was begun anew")
	}
}

func (d *database) once(to io.Writer, stage string, slow time.Duration) (Found, error) {
	c := exec.CommandContext(d.t.Context(), "sh", "-euc", Script, "sh", d.path, stage)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err != nil {
		return Found{}, err
	}
	if err := c.Start(); err != nil {
		return Found{}, err
	}
	found, err := ReadSnapshot(to, &slowly{from: out, pause: slow})
	_ = out.Close()
	if end := c.Wait(); err == nil && end != nil {
		err = fmt.Errorf("%w: %s", end, said.String())
	}
	return found, err
}

// slowly reads as from a thin line.
type slowly struct {
	from  io.Reader
	pause time.Duration
	read  int
}

func (s *slowly) Read(p []byte) (int, error) {
	n, err := s.from.Read(p[:min(len(p), 16<<10)])
	if s.read += n; s.pause > 0 && s.read > 256<<10 {
		s.read = 0
		time.Sleep(s.pause)
	}
	return n, err
}

// TestF9ALiveDatabaseIsCopiedWhole copies a database again and again while another process writes to
// it as fast as it can, in each journal mode and with each kind of checkpoint. Every copy must be
// sound, hold whole transactions only, and hold all that was acknowledged before it was begun.
func TestF9ALiveDatabaseIsCopiedWhole(t *testing.T) {
	for _, c := range []struct {
		name, mode, stage string
		every             []string
	}{
		{name: "Log", mode: "wal"},
		{name: "LogBegunAnew", mode: "wal", every: []string{"PRAGMA wal_checkpoint(RESTART);"}},
		{name: "LogCutOff", mode: "wal", every: []string{"", "PRAGMA wal_checkpoint(TRUNCATE);", ""}},
		{name: "LogStaged", mode: "wal", stage: "stage", every: []string{"", "", "PRAGMA wal_checkpoint(PASSIVE);"}},
		{name: "Journal", mode: "delete"},
		{name: "JournalKept", mode: "persist"},
		{name: "JournalStaged", mode: "truncate", stage: "stage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := begin(t, c.mode)
			stage := ""
			if c.stage != "" {
				stage = filepath.Join(filepath.Dir(d.path), c.stage)
			}
			d.write(c.every...)
			defer d.halt()
			d.await(100)
			for i := range 4 {
				copied := filepath.Join(t.TempDir(), "copy.sqlite3")
				to, err := os.Create(copied)
				if err != nil {
					t.Fatal(err)
				}
				least := d.newest()
				found, err := d.snapshot(to, stage, 3*time.Millisecond)
				if err := errors.Join(err, to.Close()); err != nil {
					t.Fatal(err)
				}
				if found.Log != (c.mode == "wal") {
					t.Errorf("it has a log: %v", found.Log)
				}
				if wrong := d.wrong(copied, least); wrong != "" {
					t.Errorf("copy %d, which has to hold %d: %s", i, least, wrong)
				}
				d.await(10)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(d.path), "*stage*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestF9AnOrdinaryCopyOfALiveDatabaseIsFoundOut copies the file as cp does while transactions are
// committed: the same checks must not take it for whole.
func TestF9AnOrdinaryCopyOfALiveDatabaseIsFoundOut(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			d := begin(t, mode)
			d.write()
			defer d.halt()
			d.await(100)
			from, err := os.Open(d.path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = from.Close() }()
			copied := filepath.Join(t.TempDir(), "copy.sqlite3")
			to, err := os.Create(copied)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = to.Close() }()
			if _, err := io.CopyN(to, from, 40<<10); err != nil {
				t.Fatal(err)
			}
			d.await(300) // beyond a checkpoint
			if _, err := io.Copy(to, from); err != nil {
				t.Fatal(err)
			}
			if d.wrong(copied, 0) == "" {
				t.Error("a torn copy is taken for whole")
			}
		})
	}
}

// TestAReaderThatIsKilledFails wants no success from a script whose transaction ended early.
func TestAReaderThatIsKilledFails(t *testing.T) {
	d := begin(t, "wal")
	d.sql(d.path, `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c LIMIT 2000) INSERT INTO a SELECT i, randomblob(9000) FROM c;`)
	c := exec.CommandContext(t.Context(), "sh", "-euc", Script, "sh", d.path, "")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, out, 1<<20); err != nil {
		t.Fatal(err)
	}
	children, err := exec.Command("pgrep", "-P", strconv.Itoa(c.Process.Pid), "-x", "sqlite3").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("kill", "-KILL", strings.TrimSpace(string(children))).Run(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := c.Wait(); err == nil {
		t.Error("the script succeeds although nobody held the transaction")
	}
}

// TestWhatIsNoDatabaseIsRefused gives streams that are cut or are something else.
func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	for name, stream := range map[string]string{
		"nothing":            "",
		"another first line": "cloudship-sqlite 2 0\n",
		"a negative length":  "cloudship-sqlite 1 -1\n",
		"a log cut short":    "cloudship-sqlite 1 64\nabc",
		"no header again":    "cloudship-sqlite 1 4\nabcd",
		"a file cut short":   "cloudship-sqlite 1 0\n" + magic,
		"no database":        "cloudship-sqlite 1 0\n" + strings.Repeat("x", 4096),
	} {
		var to bytes.Buffer
		if _, err := ReadSnapshot(&to, strings.NewReader(stream)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	d := begin(t, "delete")
	whole, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSnapshot(io.Discard, strings.NewReader("cloudship-sqlite 1 0\n"+string(whole[:len(whole)-1]))); err == nil {
		t.Error("a database without its last byte is accepted")
	}
	if _, err := ReadSnapshot(io.Discard, strings.NewReader("cloudship-sqlite 1 0\n")); err != nil {
		t.Errorf("an empty file is an empty database: %v", err)
	}
}

// TestALogThatWasBegunAnewIsReadAgain gives a header that is another one when it is read again.
func TestALogThatWasBegunAnewIsReadAgain(t *testing.T) {
	var to bytes.Buffer
	_, err := ReadSnapshot(&to, strings.NewReader("cloudship-sqlite 1 40\n"+strings.Repeat("a", 40)+strings.Repeat("b", 32)))
	if !errors.Is(err, ErrMoved) || to.Len() > 0 {
		t.Errorf("%v, after %d bytes", err, to.Len())
	}
}

// FuzzReadSnapshot wants an answer to every stream.
func FuzzReadSnapshot(f *testing.F) {
	d := &database{path: filepath.Join(f.TempDir(), "seed.sqlite3")}
	c := exec.Command("sqlite3", d.path, "PRAGMA page_size=512; PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES(1);", ".shell cat '"+d.path+"-wal' >'"+d.path+".log'")
	if out, err := c.CombinedOutput(); err != nil {
		f.Fatal(err, string(out))
	}
	file, err := os.ReadFile(d.path)
	if err != nil {
		f.Fatal(err)
	}
	log, err := os.ReadFile(d.path + ".log")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(fmt.Sprintf("cloudship-sqlite 1 %d\n%s%s%s", len(log), log, log[:32], file)))
	f.Add([]byte("cloudship-sqlite 1 0\n" + string(file)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var to bytes.Buffer
		found, err := ReadSnapshot(&to, bytes.NewReader(stream))
		if err == nil && found.Size != int64(to.Len()) {
			t.Errorf("it says %d bytes and wrote %d", found.Size, to.Len())
		}
	})
}
