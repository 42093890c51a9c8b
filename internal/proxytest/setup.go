package proxytest

import (
	"strings"
	"testing"
)

// Part returns one part of the lines that a point prints for its operator: those
// under the heading that begins so.
func Part(t testing.TB, setup, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(setup, "# -- "+heading)
	if !ok {
		t.Fatalf("no part %q in\n%s", heading, setup)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	part, _, _ := strings.Cut(rest, "\n# -- ")
	return part + "\n"
}
