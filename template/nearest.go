package template

import (
	"strings"

	"github.com/agext/levenshtein"
)

// nearest is the candidate that was most likely meant, or "" when none is close.
func nearest(word string, candidates ...string) string {
	best, least := "", len(word)/3+2
	for _, c := range candidates {
		if d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(c), nil); d < least {
			best, least = c, d
		}
	}
	return best
}

// didYouMean is the end of a message that names the nearest candidate, or all when there are few.
func didYouMean(word string, candidates ...string) string {
	if n := nearest(word, candidates...); n != "" {
		return ", did you mean " + n + "?"
	}
	if len(candidates) > 0 && len(candidates) <= 12 {
		return ", want one of " + strings.Join(candidates, ", ")
	}
	return ""
}
