package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

const (
	// installTries is how often a package installation is tried: mirrors and
	// networks of a server that has just booted are not always there at once.
	installTries = 3
	// installPause lies between two of these.
	installPause = 5 * time.Second
	// engineStart is how long an installed engine may take to answer.
	engineStart = 2 * time.Minute
	// enginePoll is the pause between two questions whether it does.
	enginePoll = 500 * time.Millisecond
)

// BootstrapOptions say how Docker gets onto a host.
type BootstrapOptions struct {
	// DockerRepository installs from Docker's own repository rather than the
	// distribution's package. The RHEL family has no other way.
	DockerRepository bool
	// Progress, if set, gets a line for everything found and done.
	Progress func(string)
}

// Report says what a bootstrap found and did.
type Report struct {
	Facts Facts
	// Installed is true if Docker was not there before.
	Installed bool
	// Lines are what was told as progress.
	Lines []string
}

// Bootstrap makes Docker answer on a bare Debian, Ubuntu or RHEL family host.
// It waits for cloud-init and for other package installations, installs,
// starts, and asks the engine. It may be repeated and be killed anywhere: what
// is there already is left as it is. The report is also good with an error.
func (h *Host) Bootstrap(ctx context.Context, options BootstrapOptions) (Report, error) {
	b := &bootstrap{host: h, options: options}
	err := b.run(ctx)
	if err != nil {
		err = fmt.Errorf("bootstrap %s: %w", h.target.Address, err)
	}
	return b.report, err
}

// bootstrap is one run of it.
type bootstrap struct {
	host    *Host
	options BootstrapOptions
	report  Report
}

func (b *bootstrap) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	b.report.Lines = append(b.report.Lines, line)
	b.watch(line)
}

// watch tells progress that is not worth a line in the report.
func (b *bootstrap) watch(line string) {
	if b.options.Progress != nil {
		b.options.Progress(line)
	}
}

func (b *bootstrap) run(ctx context.Context) error {
	if err := b.host.WaitCloudInit(ctx, b.watch); err != nil {
		return err
	}
	facts, err := b.host.Facts(ctx)
	b.report.Facts = facts
	if err != nil {
		return err
	}
	b.say("found %s %s (%s), %d CPUs, %d MB memory, %d GB free", facts.Distribution, facts.Release, facts.Architecture,
		facts.CPUs, facts.Memory>>20, facts.DiskFree>>30)
	if facts.Docker == "" {
		if err := b.admit(ctx); err != nil {
			return err
		}
		facts.Docker, facts.DockerAPI = b.host.dockerVersion(ctx)
		b.report.Facts = facts
	}
	if facts.Docker != "" {
		b.say("found Docker %s (API %s)", facts.Docker, facts.DockerAPI)
		return b.answers(ctx)
	}
	install, err := installation(facts, b.options.DockerRepository)
	if err != nil {
		return err
	}
	if err := b.install(ctx, install); err != nil {
		return err
	}
	if err := b.admit(ctx); err != nil {
		return err
	}
	if err := b.await(ctx); err != nil {
		return err
	}
	b.report.Installed = true
	b.report.Facts.Docker, b.report.Facts.DockerAPI = b.host.dockerVersion(ctx)
	b.say("Docker %s (API %s) answers", b.report.Facts.Docker, b.report.Facts.DockerAPI)
	return nil
}

// install runs the installation until it succeeds, a few times.
func (b *bootstrap) install(ctx context.Context, c Command) error {
	var err error
	for try := 1; try <= installTries; try++ {
		if try > 1 {
			b.say("installing Docker failed, try %d of %d: %v", try, installTries, err)
			if pause(ctx, installPause) != nil {
				return ctx.Err()
			}
		}
		err = b.host.Stream(ctx, c, func(line string) {
			if done, found := strings.CutPrefix(line, sayPrefix); found {
				b.say("%s", done)
			} else if tellsProgress(line) {
				b.watch(line)
			}
		})
		var exit *ExitError
		if err == nil || ctx.Err() != nil || !errors.As(err, &exit) || exit.Code < 0 {
			return err
		}
	}
	return err
}

// tellsProgress picks the lines of a package installation by which one sees it
// move on.
func tellsProgress(line string) bool {
	for _, start := range []string{"Fetched ", "Setting up ", "Unpacking ", "waiting for ", "Installing "} {
		if strings.HasPrefix(strings.TrimSpace(line), start) {
			return true
		}
	}
	return false
}

// admitScript puts the user $1 into the group docker, where that exists, and
// says so.
const admitScript = `getent group docker >/dev/null || exit 0
if ! id -nG "$1" | tr ' ' '\n' | grep -qx docker; then
	usermod -aG docker "$1"
	echo added
fi`

// admit lets a login that is not root use an engine that is installed. A group
// counts from the next login on, so it logs in again.
func (b *bootstrap) admit(ctx context.Context) error {
	user := b.host.target.login()
	if user == "root" {
		return nil
	}
	out, err := b.host.Run(ctx, Script(admitScript, user).AsRoot())
	if err != nil || len(out.Stdout) == 0 {
		return err
	}
	b.say("added %s to the group docker", user)
	return b.host.redial(ctx, b.host.line.Load().identity, connectTimeout)
}

// await asks the engine until it answers.
func (b *bootstrap) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineStart)
	defer cancel()
	for {
		err := b.answers(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, enginePoll) != nil {
			return err
		}
	}
}

func (b *bootstrap) answers(ctx context.Context) error {
	docker, err := b.host.Docker(ctx)
	if err != nil {
		return err
	}
	return docker.Close()
}

// dockerVersion is the engine's version and newest API, empty where none
// answers.
func (h *Host) dockerVersion(ctx context.Context) (version, api string) {
	docker, err := h.Docker(ctx)
	if err != nil {
		return "", ""
	}
	defer func() { _ = docker.Close() }()
	found, err := docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", ""
	}
	return found.Version, found.APIVersion
}

// installation is the command that installs Docker on such a host.
func installation(facts Facts, repository bool) (Command, error) {
	family := append([]string{facts.Distribution}, strings.Fields(facts.Like)...)
	switch {
	case slices.Contains(family, "debian"), slices.Contains(family, "ubuntu"):
		if !repository {
			return Script(aptScript).AsRoot(), nil
		}
		distribution := "debian"
		if slices.Contains(family, "ubuntu") {
			distribution = "ubuntu"
		}
		return Script(aptRepositoryScript, distribution, facts.Codename).AsRoot(), nil
	case slices.Contains(family, "rhel"), slices.Contains(family, "fedora"), slices.Contains(family, "centos"):
		distribution := "centos"
		switch facts.Distribution {
		case "fedora", "rhel":
			distribution = facts.Distribution
		}
		return Script(dnfScript, distribution).AsRoot(), nil
	}
	return Command{}, fmt.Errorf("cloudship installs Docker on Debian, Ubuntu and the RHEL family, not on %q; install Docker 20.10 or newer in the image", facts.Distribution)
}
