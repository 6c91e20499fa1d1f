package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/go-archive"
	"github.com/moby/moby/client"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// neverSent is what no build context holds, whatever its .dockerignore says: states, plans, keys.
var neverSent = []string{"**/cloudship.state", "**/*.plan", "**/*.key", "**/.git"}

// Build makes an image in the local engine and names it. What the build prints is told a line at
// a time. Args that refer to secrets are revealed with their values.
func Build(ctx context.Context, docker *client.Client, b *template.Build, secrets map[string]string, names []string, say func(string)) error {
	if len(b.Secrets) > 0 || len(b.Contexts) > 0 {
		return resource.WithHint(errors.New("this build needs BuildKit (secrets or additional contexts), which the Docker API alone does not offer"),
			"build and push the image with 'docker buildx', and name it by image")
	}
	o := client.ImageBuildOptions{
		Tags: names, NoCache: b.NoCache, PullParent: b.Pull, Remove: true, ForceRemove: true, Labels: b.Labels,
		NetworkMode: b.Network, ShmSize: b.ShmSize, Target: b.Target, CacheFrom: b.CacheFrom, ExtraHosts: b.ExtraHosts,
		Dockerfile: or(b.Dockerfile, "Dockerfile"), BuildArgs: map[string]*string{},
	}
	for name, value := range b.Args {
		text := revealText(string(value), secrets)
		o.BuildArgs[name] = &text
	}
	var input io.Reader
	if isRemoteContext(b.Context) {
		o.RemoteContext = b.Context
	} else {
		tar, err := contextOf(b)
		if err != nil {
			return err
		}
		defer func() { _ = tar.Close() }()
		input = tar
	}
	answer, err := docker.ImageBuild(ctx, input, o)
	if err != nil {
		return fmt.Errorf("build %s: %w", names[0], err)
	}
	defer func() { _ = answer.Body.Close() }()
	return followBuild(answer.Body, names[0], say)
}

func isRemoteContext(where string) bool {
	return strings.Contains(where, "://") || strings.HasPrefix(where, "git@")
}

func revealText(text string, secrets map[string]string) string {
	for _, digest := range template.SecretsOf(template.Text(text)) {
		text = strings.ReplaceAll(text, "${secret:"+digest+"}", secrets[digest])
	}
	return text
}

// contextOf packs a build's folder, without what its .dockerignore names and what is never sent.
func contextOf(b *template.Build) (io.ReadCloser, error) {
	if b.DockerfileInline != "" {
		return nil, resource.WithHint(errors.New("dockerfile_inline is not built"), "put it into a Dockerfile")
	}
	info, err := os.Stat(b.Context)
	if err != nil {
		return nil, fmt.Errorf("build context: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("build context %s is no folder", b.Context)
	}
	if _, err := os.Stat(filepath.Join(b.Context, or(b.Dockerfile, "Dockerfile"))); err != nil {
		return nil, fmt.Errorf("build context: %w", err)
	}
	excludes, err := ignored(b.Context)
	if err != nil {
		return nil, err
	}
	// The engine itself needs these two, whatever is ignored.
	excludes = append(append(excludes, neverSent...), "!"+or(b.Dockerfile, "Dockerfile"), "!.dockerignore")
	tar, err := archive.TarWithOptions(b.Context, &archive.TarOptions{ExcludePatterns: excludes, ChownOpts: &archive.ChownOpts{}})
	if err != nil {
		return nil, fmt.Errorf("build context %s: %w", b.Context, err)
	}
	return tar, nil
}

func ignored(dir string) ([]string, error) {
	f, err := os.Open(filepath.Join(dir, ".dockerignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("build context: %w", err)
	}
	defer func() { _ = f.Close() }()
	patterns, err := ignorefile.ReadAll(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("build context: %s: %w", f.Name(), err)
	}
	return patterns, nil
}
