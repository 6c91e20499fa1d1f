//go:build e2e

package state_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cloudship/cloudship/e2e/bucket"
	"github.com/cloudship/cloudship/state"
	"github.com/cloudship/cloudship/state/storetest"
)

// server is a real server that a test may kill and start again.
type server struct {
	t       *testing.T
	command func() *exec.Cmd
	answers func() error // nil once it serves

	mu      sync.Mutex
	process *exec.Cmd
	output  bytes.Buffer
}

func (s *server) start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.output.Reset()
	s.process = s.command()
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	until := time.Now().Add(time.Minute)
	for {
		err := s.answers()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			s.process.Process.Kill()
			s.process.Wait()
			s.t.Fatalf("%s does not serve: %v\n%s", s.process.Path, err, s.output.String())
		}
		<-time.After(50 * time.Millisecond)
	}
}

// stop ends the server by this signal, and returns when it is gone.
func (s *server) stop(signal os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	s.process.Process.Signal(signal)
	s.process.Wait()
	s.process = nil
}

func dials(network, address string) func() error {
	return func() error {
		c, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// startBucket serves a bucket and returns its URL, to which a prefix may be
// added, and the server.
func startBucket(t *testing.T) (place func(prefix string) string, served *server) {
	t.Helper()
	gateway := bucket.New(t.Context(), t)
	served = &server{t: t, answers: dials("tcp", gateway.Address), command: gateway.Command}
	served.start()
	t.Cleanup(func() { served.stop(os.Kill) })

	t.Setenv("AWS_ACCESS_KEY_ID", bucket.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", bucket.SecretKey)
	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = aws.String(gateway.Endpoint()), true
	})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("states")}); err != nil {
		t.Fatal(err)
	}
	return func(prefix string) string {
		return "s3://states/" + prefix + "?region=us-east-1&endpoint=" + url.QueryEscape(gateway.Endpoint())
	}, served
}

// startPostgres serves a new database on a unix socket.
func startPostgres(t *testing.T) (place func(prefix string) string, served *server) {
	t.Helper()
	initdb, postgres := postgresProgram(t, "initdb"), postgresProgram(t, "postgres")
	folder, err := os.MkdirTemp("", "cloudship-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
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
	initialise := exec.CommandContext(t.Context(), initdb, "--pgdata", data, "--username", "tester", "--auth", "trust", "--encoding", "UTF8", "--locale", "C")
	initialise.SysProcAttr, initialise.Dir = as, folder
	if out, err := initialise.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	place = func(prefix string) string {
		return "postgres:///postgres?user=tester&host=" + url.QueryEscape(folder) + "&prefix=" + prefix
	}
	served = &server{t: t,
		command: func() *exec.Cmd {
			c := exec.Command(postgres, "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "max_connections=200")
			c.SysProcAttr, c.Dir = as, folder
			return c
		},
		answers: func() error {
			store, err := state.Open(t.Context(), place("up"))
			if err != nil {
				return err
			}
			defer store.Close()
			_, err = store.List(t.Context(), 0)
			return err
		},
	}
	served.start()
	t.Cleanup(func() { served.stop(syscall.SIGINT) })
	return place, served
}

// postgresProgram finds a program where Debian and others put it.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no %s; on Debian: apt install postgresql", name)
	}
	return found[len(found)-1]
}

func TestBucketStore(t *testing.T) {
	place, _ := startBucket(t)
	storetest.Run(t, func(t *testing.T) storetest.Place { return storetest.URL(t, place("stacks/"+rand.Text())) })
}

func TestPostgresStore(t *testing.T) {
	place, _ := startPostgres(t)
	storetest.Run(t, func(t *testing.T) storetest.Place { return storetest.URL(t, place(rand.Text())) })
}

func TestBucketIsKilledInTheMiddleOfCommits(t *testing.T) {
	place, served := startBucket(t)
	killInTheMiddle(t, place("shop"), served, os.Kill)
}

func TestPostgresIsKilledInTheMiddleOfCommits(t *testing.T) {
	place, served := startPostgres(t)
	killInTheMiddle(t, place("shop"), served, syscall.SIGQUIT) // it ends at once, and recovers from its log
}

// killInTheMiddle ends the server while a session commits, and starts it again.
// The session goes on by itself, and what it was told is committed is there.
func killInTheMiddle(t *testing.T, place string, served *server, signal os.Signal) {
	ctx := t.Context()
	store := storetest.URL(t, place).Open()
	s, err := state.Begin(ctx, store, state.Options{Command: "apply"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.WithoutCancel(ctx)) })
	count := func(n int) state.Source {
		return state.Fixed(state.Content{Body: fmt.Appendf(nil, `{"count":%d}`, n)})
	}
	for round := range 3 {
		committing := make(chan struct{})
		outcome := make(chan error, 1)
		go func() {
			for n := range 30 {
				if n == 10 {
					close(committing)
				}
				if err := s.Commit(ctx, count(100*round+n)); err != nil {
					outcome <- fmt.Errorf("commit %d: %w", n, err)
					return
				}
			}
			outcome <- nil
		}()
		<-committing
		served.stop(signal)
		served.start()
		if err := <-outcome; err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.CommitClosing(ctx, count(1000)), s.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	history, err := state.ReadHistory(ctx, store)
	if err != nil || len(history.Findings) > 0 || len(history.Snapshots) != 91 {
		t.Errorf("history has %d snapshots, %v, %v", len(history.Snapshots), history.Findings, err)
	}
}

func TestStoresSayWhatIsWrong(t *testing.T) {
	ctx := t.Context()
	place, _ := startBucket(t)
	database, _ := startPostgres(t)
	t.Setenv("PGPASSWORD", "hunter22")
	tests := map[string]struct{ place, says string }{
		"no such bucket":   {strings.Replace(place("x"), "states", "nothing-here", 1), "NoSuchBucket"},
		"no such database": {strings.Replace(database("x"), "/postgres?", "/nothing-here?", 1), `database "nothing-here" does not exist`},
		"nobody there":     {"postgres://ann:hunter22@127.0.0.1:1/shop", "connection refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := storetest.URL(t, tt.place).Open()
			_, err := state.ReadHead(ctx, store)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter22") {
				t.Errorf("the error is %v", err)
			}
			if _, err := state.Begin(ctx, store, state.Options{Command: "apply"}); err == nil {
				t.Error("a session began")
			}
		})
	}
	t.Run("wrong credentials", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		_, err := state.Begin(ctx, storetest.URL(t, place("x")).Open(), state.Options{Command: "apply"})
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("the error is %v", err)
		}
	})
}
