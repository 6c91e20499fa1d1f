package rig

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Services are what a story finds already there: databases and a private registry. They run on
// this machine, in a network of their own, where the lab's servers reach them.
type Services struct {
	MongoDB, Redis string // URLs
	Registry       string // host and port, on loopback
	User, Password string // of the registry
	stops          []func()
}

// StartServices starts Redis from Debian, FerretDB, and a registry that wants a password.
func (r *Rig) StartServices(ctx context.Context) (s *Services, err error) {
	s = &Services{User: "proleads", Password: "lab-only-password"}
	defer func() {
		if err != nil {
			s.Stop()
			s = nil
		}
	}()
	ip, err := s.Address(ctx)
	if err != nil {
		return s, err
	}
	if s.Redis, err = r.startRedis(ctx, s, ip); err != nil {
		return s, err
	}
	if s.MongoDB, err = r.startMongoDB(ctx, s, ip); err != nil {
		return s, err
	}
	return s, s.startRegistry()
}

// Address makes a network of the stories' own and gives this machine's address in it. Docker's
// default networks will not do: Docker on the lab's servers has the same ones.
func (s *Services) Address(ctx context.Context) (string, error) {
	var err error
	for i := range 20 {
		name, subnet := fmt.Sprintf("cloudship-services-%d-%d", os.Getpid(), i), fmt.Sprintf("100.64.%d", 77+i)
		var out []byte
		out, err = exec.CommandContext(ctx, "docker", "network", "create", "--subnet", subnet+".0/24", "--gateway", subnet+".1", name).CombinedOutput()
		if err == nil {
			s.stops = append(s.stops, func() { _ = exec.Command("docker", "network", "rm", name).Run() })
			return subnet + ".1", nil
		}
		err = fmt.Errorf("a network for the services: %w: %s", err, out)
	}
	return "", err
}

// Stop ends all services.
func (s *Services) Stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
	s.stops = nil
}

func (r *Rig) startRedis(ctx context.Context, s *Services, ip string) (string, error) {
	dir := filepath.Join(r.Root, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	port, err := freePort(ip)
	if err != nil {
		return "", err
	}
	err = s.start(ctx, net.JoinHostPort(ip, port), exec.Command("redis-server", "--bind", ip, "--port", port, "--dir", dir, "--protected-mode", "no", "--save", "", "--daemonize", "no"))
	return "redis://" + net.JoinHostPort(ip, port) + "/0", err
}

func (r *Rig) startMongoDB(ctx context.Context, s *Services, ip string) (string, error) {
	program := filepath.Join(r.Root, "mongodb-server")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = filepath.Join(r.Source, "e2e", "mongodb")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", build.Dir, err, lastLines(string(out), 10))
	}
	dir := filepath.Join(r.Root, "mongodb")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	port, err := freePort(ip)
	if err != nil {
		return "", err
	}
	at := net.JoinHostPort(ip, port)
	err = s.start(ctx, at, exec.Command(program, at, dir))
	return "mongodb://" + at + "/proleads", err
}

// start runs a service's process until Stop, and waits until it accepts connections.
func (s *Services) start(ctx context.Context, address string, cmd *exec.Cmd) error {
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.stops = append(s.stops, func() { _ = cmd.Process.Kill(); <-ended })
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended at once", filepath.Base(cmd.Path))
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w", filepath.Base(cmd.Path), address, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// startRegistry serves a registry with a password on loopback.
func (s *Services) startRegistry() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	images := registry.New(registry.Logger(log.New(discard{}, "", 0)))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != s.User || subtle.ConstantTimeCompare([]byte(password), []byte(s.Password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	s.Registry = listener.Addr().String()
	s.stops = append(s.stops, func() { _ = server.Close() })
	return nil
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func freePort(ip string) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", fmt.Errorf("a free port at %s: %w", ip, err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}

// Repository makes a git repository of a folder's content, below the rig, and gives its path.
func (r *Rig) Repository(ctx context.Context, from string) (string, error) {
	dir := filepath.Join(r.Root, "repository")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		return "", err
	}
	return dir, r.Initialize(ctx, dir)
}

// Initialize makes a folder a git repository, with all that it has committed.
func (r *Rig) Initialize(ctx context.Context, dir string) error {
	if err := r.git(ctx, dir, "init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	return r.Commit(ctx, dir, "the first version")
}

// Commit commits everything in a repository.
func (r *Rig) Commit(ctx context.Context, dir, message string) error {
	if err := r.git(ctx, dir, "add", "--all"); err != nil {
		return err
	}
	return r.git(ctx, dir, "commit", "--quiet", "--allow-empty", "--message", message)
}

func (r *Rig) git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
	cmd.Env = r.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}
