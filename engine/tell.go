package engine

import (
	"slices"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// tell tells wanted releases and routes what hosts must know of the stack: whether what runs once
// per release has run on some server, so that no other runs it again; and which releases went bad,
// so that a lost state finds that out.
func tell(wants []plan.Want, have plan.Have, intent resource.Intent) {
	var releases []string
	for _, r := range have.Records {
		releases = append(releases, r.Facts.Prepared...)
	}
	for _, w := range wants {
		switch spec := w.Spec.(type) {
		case *resource.ReleaseSpec:
			spec.Prepared = slices.Contains(releases, spec.Release)
		case *resource.RouteSpec:
			spec.Bad = slices.Clone(intent.Bad[w.Address.Name])
		}
	}
}
