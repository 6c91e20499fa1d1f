package digitalocean

import (
	"fmt"
	"slices"
)

// names are the keys of a map, sorted.
func names[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// suggest ends a message about an unknown name with the nearest valid one, if there is one near.
func suggest(wrong string, valid []string) string {
	if name, ok := nearest(wrong, valid); ok {
		return fmt.Sprintf(": did you mean %q?", name)
	}
	return ""
}

// nearest finds the valid name with the fewest letters to change, if it is like the wrong one at
// all: half of it may differ.
func nearest(wrong string, valid []string) (string, bool) {
	best, least := "", len(wrong)/2+1
	for _, name := range valid {
		if d := distance(wrong, name); d < least {
			best, least = name, d
		}
	}
	return best, best != ""
}

// distance is how many letters must be changed, added or removed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
