package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// proleads is the story of ProLeads: six releases from git, each tested on the idle group and
// switched, a scale out and in, a release that fails its test, one that goes bad when it is live,
// and an old image brought back.
func proleads(ctx context.Context, d *demonstration) error {
	title("a lab, and what ProLeads has already: MongoDB's protocol, Redis, a private registry, a git repository")
	if err := d.Up(ctx, "containers"); err != nil {
		return err
	}
	var err error
	if d.services, err = d.StartServices(ctx); err != nil {
		return err
	}
	repository, err := d.Repository(ctx, filepath.Join(d.Dir, "app"))
	if err != nil {
		return err
	}
	d.vars = []string{
		"--var", "mongodb_url=" + d.services.MongoDB, "--var", "redis_url=" + d.services.Redis,
		"--var", "registry=" + d.services.Registry, "--var", "registry_user=" + d.services.User,
		"--var", "source=" + repository,
	}
	d.Env = append(d.Env, "CLOUDSHIP_VAR_registry_password="+d.services.Password)
	p := &leads{demonstration: d, repository: repository}
	title("the first release, v1, on both groups")
	if err := d.ship(ctx, "apply", "-y", "--new-key"); err != nil {
		return err
	}
	if err := d.underLoad(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{p.releases, p.scale, p.refused, p.rotten, p.old} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.load.Stop()
	if err := d.unfailed(); err != nil {
		return err
	}
	title("destroying everything")
	return d.ship(ctx, "destroy", "-y")
}

// leads is the story's application as it is worked on.
type leads struct {
	*demonstration
	repository string
	secondTag  string // of the second release's image
}

// push commits a new version, as a developer would.
func (p *leads) push(ctx context.Context, version string) error {
	if err := os.WriteFile(filepath.Join(p.repository, "VERSION"), []byte(version+"\n"), 0o644); err != nil {
		return err
	}
	return p.Commit(ctx, p.repository, version)
}

// releases brings five more releases live, each tested first.
func (p *leads) releases(ctx context.Context) error {
	for _, version := range []string{"v2", "v3", "v4", "v5", "v6"} {
		title("%s: pushed, built, deployed on the idle group, tested, switched", version)
		if err := p.push(ctx, version); err != nil {
			return err
		}
		if err := p.ship(ctx, "apply", "--switch", "-y"); err != nil {
			return err
		}
		p.switches++
		if err := p.sees(ctx, version); err != nil {
			return err
		}
		if version == "v2" {
			tag, err := p.newestTag(ctx)
			if err != nil {
				return err
			}
			p.secondTag = tag
		}
	}
	return nil
}

// scale runs four Ruby containers for a while, then two.
func (p *leads) scale(ctx context.Context) error {
	for _, n := range []int{4, 2} {
		title("scale to %d", n)
		if err := p.ship(ctx, "scale", fmt.Sprintf("ruby=%d", n), "-y", "--no-build"); err != nil {
			return err
		}
	}
	return nil
}

// refused pushes a release that fails its smoke test: the live one stays.
func (p *leads) refused(ctx context.Context) error {
	title("a release that fails its smoke test is not switched to")
	if err := p.push(ctx, "smokes"); err != nil {
		return err
	}
	if err := p.shipTo(ctx, 9, "apply", "--switch", "-y"); err != nil {
		return err
	}
	return p.sees(ctx, "v6")
}

// rotten pushes a release that passes its tests and goes bad when it is live: it is switched back
// from by itself. What it fails while it is live is what the watch is for; those requests are not
// counted as a failure of a switch, so the load pauses.
func (p *leads) rotten(ctx context.Context) error {
	title("a release that goes bad after the switch is switched back from")
	if err := p.push(ctx, "rots"); err != nil {
		return err
	}
	stop, err := p.rot(ctx)
	if err != nil {
		return err
	}
	p.load.Pause()
	err = p.shipTo(ctx, 7, "apply", "--switch", "-y")
	stop()
	if err != nil {
		return err
	}
	p.switches += 2
	p.load.Resume()
	return p.sees(ctx, "v6")
}

// rot makes the application rotten, through Redis, as soon as the release alone answers: then it is
// live, and the old group is drained.
func (p *leads) rot(ctx context.Context) (stop func(), err error) {
	u, err := url.Parse(p.services.Redis)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	watched := p.url
	go func() {
		defer close(done)
		if alone(ctx, watched, "rots") == nil {
			_ = redis(ctx, u.Host, "SET rotten yes")
		}
	}()
	return func() {
		cancel()
		<-done
		_ = redis(context.WithoutCancel(ctx), u.Host, "DEL rotten")
	}, nil
}

// redis sends one command.
func redis(ctx context.Context, address, command string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return err
	}
	_, err = bufio.NewReader(conn).ReadString('\n')
	return err
}

// old brings the second release's image back.
func (p *leads) old(ctx context.Context) error {
	title("back to the second release's image, by its tag %s", p.secondTag)
	if err := p.ship(ctx, "rollback", "-y", "--to", p.secondTag); err != nil {
		return err
	}
	p.switches++
	return p.sees(ctx, "v2")
}
