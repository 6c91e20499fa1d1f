package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// LastGood names the release that was live before and did not go bad.
const LastGood = "last-good"

// resolveReleases turns what a rollback was told into ids of releases that are kept: an id or the
// beginning of one, a tag of its build, or a git commit. Empty and LastGood stay empty: that is the
// one that was live before.
func (s *Session) resolveReleases(wanted map[string]string) (map[string]string, error) {
	if wanted == nil {
		return nil, nil
	}
	resolved := map[string]string{}
	for balancer, name := range wanted {
		id, err := s.releaseNamed(balancer, name)
		if err != nil {
			return nil, fmt.Errorf("load_balancer.%s: %w", balancer, err)
		}
		resolved[balancer] = id
	}
	return resolved, nil
}

// releaseNamed finds a release of a balancer's templates. Of several with one tag or commit the newest
// is meant; of several ids with one beginning none.
func (s *Session) releaseNamed(balancer, name string) (string, error) {
	if name == "" || name == LastGood {
		return "", nil
	}
	var byID, byTag []resource.ReleaseEntry
	var known []string
	for _, e := range s.releasesOf(balancer) {
		known = append(known, e.ID)
		switch {
		case e.ID == name:
			return e.ID, nil
		case len(name) >= 3 && (strings.HasPrefix(e.ID, name) || strings.HasPrefix(strings.TrimPrefix(e.ID, "r-"), name)):
			byID = append(byID, e)
		case slices.Contains(e.Tags, name), len(name) >= 7 && strings.HasPrefix(e.Commit, name):
			byTag = append(byTag, e)
		}
	}
	switch {
	case len(byTag) > 0:
		return byTag[0].ID, nil
	case len(byID) == 1:
		return byID[0].ID, nil
	case len(byID) > 1:
		return "", resource.WithHint(fmt.Errorf("%d releases begin with %q", len(byID), name), "kept are "+strings.Join(known, ", "))
	case len(known) == 0:
		return "", resource.WithHint(fmt.Errorf("there is no release %q: none is kept", name), "run 'cloudship apply' first")
	}
	return "", resource.WithHint(fmt.Errorf("no release that is kept is called %q, by its id, tag or commit", name),
		"kept are "+strings.Join(known, ", ")+"; 'cloudship releases' tells more")
}

// releasesOf lists the releases that a balancer's groups could run, newest first.
func (s *Session) releasesOf(balancer string) []resource.ReleaseEntry {
	templates := map[string]bool{}
	if b := s.stack.LoadBalancer(balancer); b != nil {
		for _, name := range b.Groups {
			if g := s.stack.Group(name); g != nil {
				templates[g.Template] = true
			}
		}
	}
	var list []resource.ReleaseEntry
	for _, e := range slices.SortedFunc(maps.Values(s.Memory().Releases), func(a, b resource.ReleaseEntry) int {
		if c := b.Made.Compare(a.Made); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	}) {
		if templates[e.Template] {
			list = append(list, e)
		}
	}
	return list
}

// checkScale refuses to scale what no group runs yet, services that there are not, and single writers.
func (s *Session) checkScale(wanted map[string]map[string]int) error {
	for template, services := range wanted {
		known := map[string]bool{}
		for _, r := range s.documents(template, nil) {
			for name := range r.Services {
				known[name] = true
			}
			if errs := r.CheckScale(services); len(errs) > 0 {
				return errors.Join(errs...)
			}
		}
		if len(known) == 0 {
			return resource.WithHint(fmt.Errorf("scale: no group runs template %q yet", template), "run 'cloudship apply' first")
		}
		for name := range services {
			if !known[name] {
				return resource.WithHint(fmt.Errorf("scale: template %s has no service %q", template, name),
					"it has "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			}
		}
	}
	return nil
}
