package torture

import (
	"os"
	"strconv"
	"testing"
)

// complete says that the program has all that the campaigns ask for.
var complete = os.Getenv("WEIR_TORTURE") != ""

// often returns how often a campaign does what it does: as the environment
// says, else few times.
func often(t *testing.T, variable string, few int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 100_000 {
		t.Fatalf("%s=%s, must be a number between 1 and 100,000", variable, text)
	}
	return n
}

// needs passes a campaign by where the program does not have what it asks for.
func needs(t *testing.T, what string) {
	t.Helper()
	if !complete {
		t.Skipf("it needs %s: WEIR_TORTURE=1 runs it", what)
	}
}
