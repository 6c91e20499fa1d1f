package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// built is what became of a build block.
type built struct {
	image  string // by which templates refer to it
	tags   []string
	commit string // of the source, "-dirty" when it had changes
}

// builds makes the images of all build blocks, once a session.
func (s *Session) builds(ctx context.Context) error {
	if s.built != nil {
		return nil
	}
	made := map[string]built{}
	for _, b := range s.stack.Builds {
		one, err := s.buildBlock(ctx, b)
		if err != nil {
			return fmt.Errorf("build %s: %w", b.Name, err)
		}
		made[b.Name] = one
	}
	s.built = made
	return nil
}

// Build makes the image of one build block, and pushes it where the block says so, or with push.
func (s *Session) Build(ctx context.Context, name string, push bool) (image string, tags []string, err error) {
	for _, b := range s.stack.Builds {
		if b.Name != name {
			continue
		}
		block := *b
		block.Push = block.Push || push
		one, err := s.buildBlock(ctx, &block)
		return one.image, one.tags, err
	}
	return "", nil, fmt.Errorf("the stack has no build block %q", name)
}

func (s *Session) buildBlock(ctx context.Context, b *stack.Build) (built, error) {
	docker, err := s.engine(ctx)
	if err != nil {
		return built{}, err
	}
	repository, err := s.repository(b)
	if err != nil {
		return built{}, err
	}
	if s.options.NoBuild {
		name := repository + ":latest"
		if _, err := docker.ImageInspect(ctx, name); errdefs.IsNotFound(err) {
			return built{}, resource.WithHint(fmt.Errorf("%s was never built here", name), "leave --no-build away")
		} else if err != nil {
			return built{}, err
		}
		return built{image: name}, nil
	}
	source, commit, done, err := s.sourceOf(ctx, b)
	if err != nil {
		return built{}, err
	}
	defer done()
	tags := expand(b.Tags, commit, time.Now())
	names := []string{repository + ":latest"} // what --no-build takes
	for _, tag := range tags {
		if tag != "latest" {
			names = append(names, repository+":"+tag)
		}
	}
	args := map[string]template.Text{}
	for name, value := range b.Args {
		args[name] = template.Text(value)
	}
	s.say("building %s", strings.Join(names, ", "))
	labels := template.Labels{"org.opencontainers.image.revision": commit}
	recipe := &template.Build{Context: source, Dockerfile: b.Dockerfile, Target: b.Target, Args: args, Labels: labels}
	what := "build " + b.Name
	defer s.busy(what)()
	if err := deploy.Build(ctx, docker, recipe, nil, names, func(line string) { s.detail(what, line) }); err != nil {
		return built{}, err
	}
	result := built{image: names[len(names)-1], tags: tags, commit: commit}
	if b.Push || b.Registry != "" {
		for _, name := range names {
			if name == repository+":latest" && !wantsLatest(b.Tags) {
				continue
			}
			if err := s.push(ctx, docker, name); err != nil {
				return built{}, err
			}
		}
	}
	return result, nil
}

func wantsLatest(tags []string) bool {
	for _, t := range tags {
		if t == "latest" {
			return true
		}
	}
	return false
}

// repository is a build's image name, its registry's host before it.
func (s *Session) repository(b *stack.Build) (string, error) {
	if b.Registry == "" {
		return b.Image, nil
	}
	r := s.stack.Registry(b.Registry)
	if r == nil {
		return "", fmt.Errorf("there is no registry %q", b.Registry)
	}
	return strings.TrimSuffix(r.Server, "/") + "/" + b.Image, nil
}

// expand fills the patterns of tags: {{timestamp}} is UTC and sorts as time does.
func expand(patterns []string, commit string, now time.Time) []string {
	if commit == "" {
		commit = "unversioned"
	}
	words := strings.NewReplacer(
		"{{timestamp}}", now.UTC().Format("20060102-150405"), "{{ timestamp }}", now.UTC().Format("20060102-150405"),
		"{{date}}", now.UTC().Format("20060102"), "{{ date }}", now.UTC().Format("20060102"),
		"{{sha}}", commit, "{{ sha }}", commit,
	)
	var tags []string
	for _, p := range patterns {
		tags = append(tags, words.Replace(p))
	}
	return tags
}

// sourceOf gives the folder that a build is made from: a directory, or a fresh clone of a repository
// at its ref, which done removes.
func (s *Session) sourceOf(ctx context.Context, b *stack.Build) (dir, commit string, done func(), err error) {
	if b.Git.Text == "" {
		dir = b.Context
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(s.options.Dir, dir)
		}
		return dir, commitOf(ctx, dir), func() {}, nil
	}
	root, err := os.MkdirTemp("", "cloudship-build-")
	if err != nil {
		return "", "", nil, err
	}
	done = func() { _ = os.RemoveAll(root) }
	dir = filepath.Join(root, "source")
	if err := s.clone(ctx, b, root, dir); err != nil {
		done()
		return "", "", nil, err
	}
	commit = commitOf(ctx, dir)
	if b.Context != "" {
		dir = filepath.Join(dir, filepath.Clean("/"+b.Context))
	}
	return dir, commit, done, nil
}

// clone fetches a repository. Its key, if any, lies in a file of mode 0600 for as long as git runs;
// the host's key must be known, as for everything else.
func (s *Session) clone(ctx context.Context, b *stack.Build, root, dir string) error {
	environ := append([]string{}, s.options.Environ...)
	environ = append(environ, "GIT_TERMINAL_PROMPT=0")
	if b.Key.Text != "" {
		key := filepath.Join(root, "key")
		if err := os.WriteFile(key, []byte(strings.TrimRight(b.Key.Text, "\n")+"\n"), 0o600); err != nil {
			return err
		}
		defer func() { _ = os.Remove(key) }()
		environ = append(environ, "GIT_SSH_COMMAND=ssh -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -i "+key)
	}
	git := func(args ...string) error {
		command := exec.CommandContext(ctx, "git", args...)
		command.Env = environ
		out, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("git %s: %w\n%s", args[0], err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	s.say("fetching the source of build %s", b.Name)
	if err := git("clone", "--quiet", b.Git.Text, dir); err != nil {
		return resource.WithHint(err, "is the address right, and may you read the repository? A private one needs 'key = secret_file(...)' in the build block")
	}
	if b.Ref == "" {
		return nil
	}
	if err := git("-C", dir, "checkout", "--quiet", "--detach", b.Ref); err != nil {
		if git("-C", dir, "checkout", "--quiet", "--detach", "origin/"+b.Ref) == nil {
			return nil
		}
		return err
	}
	return nil
}

// push sends an image of the local engine to its registry.
func (s *Session) push(ctx context.Context, docker *client.Client, name string) error {
	auth, err := deploy.RegistryAuth(ctx, s.auth, name)
	if err != nil {
		return err
	}
	s.say("pushing %s", name)
	answer, err := docker.ImagePush(ctx, name, client.ImagePushOptions{RegistryAuth: auth})
	if err == nil {
		defer func() { _ = answer.Close() }()
		err = answer.Wait(ctx)
	}
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("push %s: %w", name, err)
	if errdefs.IsUnauthorized(err) || strings.Contains(err.Error(), "unauthorized") || strings.Contains(err.Error(), "denied") || strings.Contains(err.Error(), "no basic auth") {
		return resource.WithHint(errors.Join(ErrPreflight, wrapped), "the registry refused: check user name and password in its registry block")
	}
	return wrapped
}
