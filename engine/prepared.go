package engine

import (
	"slices"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// prepared says of every wanted release whether what runs once per release has run on some server,
// so that no other runs it again.
func prepared(wants []plan.Want, have plan.Have) {
	var releases []string
	for _, r := range have.Records {
		releases = append(releases, r.Facts.Prepared...)
	}
	for _, w := range wants {
		if spec, ok := w.Spec.(*resource.ReleaseSpec); ok {
			spec.Prepared = slices.Contains(releases, spec.Release)
		}
	}
}
