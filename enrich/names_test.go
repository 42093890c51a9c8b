package enrich

import (
	"fmt"
	"strings"
	"testing"
)

// What is remembered of names never answers for others: names that share a
// place, have no length or are longer than is kept.
func TestANameIsSecretHoweverOftenItComes(t *testing.T) {
	r := newRedactor(nil, []string{"my_own"})
	names := []string{"", "q", "password", "passwore", "my_own", "my_owm", strings.Repeat("x", 40) + "password", strings.Repeat("x", 48)}
	for i := range 2000 {
		names = append(names, fmt.Sprintf("n%d", i), fmt.Sprintf("token%d", i))
	}
	for round := range 3 {
		for _, name := range names {
			if got, want := r.secretName(name), r.findSecret(name); got != want {
				t.Fatalf("round %d: %q is secret: %v, must be %v", round, name, got, want)
			}
		}
	}
	if !r.secretName("my_own") || r.secretName("my_owm") {
		t.Error("a name that the site listed is not told from its like")
	}
}
