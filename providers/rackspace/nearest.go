package rackspace

import "fmt"

// suggest ends a message about an unknown name with the nearest valid one, if there is one near.
func suggest(wrong string, valid []string) string {
	best, least := "", len(wrong)/2+1
	for _, name := range valid {
		if d := changes(wrong, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// changes is how many letters must be changed, added or removed to make b of a.
func changes(a, b string) int {
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := []int{i + 1}
		for j := range len(b) {
			least := min(above[j+1]+1, row[j]+1, above[j]+1)
			if a[i] == b[j] {
				least = min(least, above[j])
			}
			row = append(row, least)
		}
		above = row
	}
	return above[len(b)]
}
