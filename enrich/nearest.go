package enrich

import (
	"maps"
	"slices"
	"strings"
)

// hint proposes the known name that was probably meant.
func hint(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		if k == "" {
			continue
		}
		if n := distance(strings.ToLower(name), k); n < least {
			best, least = k, n
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// distance is how many letters must be put in, left out or changed to make one
// word of the other. Long words are far from everything.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
