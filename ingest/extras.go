package ingest

import (
	"slices"
	"strings"
)

// ExtraNames returns the names of the extra fields (x.NAME, without "x.") that
// a configuration maps, sorted.
func ExtraNames(c Config) []string {
	var names []string
	for field := range c.Fields {
		if name, ok := strings.CutPrefix(field, "x."); ok {
			names = append(names, name)
		}
	}
	for rest := c.Pattern; ; {
		_, after, ok := strings.Cut(rest, "<x.")
		if !ok {
			break
		}
		name, tail, ok := strings.Cut(after, ">")
		if ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
		rest = tail
	}
	slices.Sort(names)
	return names
}
