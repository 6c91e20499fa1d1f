package engine

import (
	"context"
	"errors"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/deploy/paper"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// hostDriver works on servers: package deploy on real ones, package paper on those of a lab that
// exist only on paper.
type hostDriver interface {
	resource.Driver
	// Kept gives whole the releases that a server keeps, for a lost state.
	Kept(ctx context.Context, server resource.Found, enrolled bool) ([]resource.ReleaseEntry, error)
	Close()
}

var errOnPaper = errors.New("the servers exist only on paper (" + paper.Variable + " is set): there is nothing to reach")

// openHosts makes the driver for servers. Nothing is connected yet.
func (s *Session) openHosts() error {
	if s.hosts != nil {
		return nil
	}
	if url, _ := s.lookupEnv(paper.Variable); url != "" {
		driver, err := paper.Open(paper.Options{URL: url, Dir: s.options.Dir, Environ: s.options.Environ, Keep: s.options.Keep, Probe: !s.options.NoProbe})
		if err != nil {
			return err
		}
		s.hosts = driver
		return nil
	}
	keys, err := s.keys()
	if err != nil {
		return err
	}
	externals, err := s.externals()
	if err != nil {
		return err
	}
	s.hosts = deploy.Open(deploy.Options{
		Externals: externals,
		Stack:     s.id, Keys: keys, Logins: s.login, Dir: s.options.Dir, Cache: cache(), Auths: s.auth, Local: s.engine, Account: s.account,
		Keep: s.options.Keep, Probe: !s.options.NoProbe, Environ: s.options.Environ,
	})
	return nil
}

// images is who tells what an image is.
func (s *Session) images() func(context.Context, template.ImageRequest) (template.Image, error) {
	if url, _ := s.lookupEnv(paper.Variable); url != "" {
		return paper.Image
	}
	return s.image
}
