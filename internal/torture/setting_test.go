package torture

import (
	"os"
	"strconv"
	"testing"
)

// often returns how often a campaign does what it does: as the environment
// says, else few times.
func often(t *testing.T, variable string, few int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 10_000_000 {
		t.Fatalf("%s=%s, must be a number between 1 and 10,000,000", variable, text)
	}
	return n
}

// needs passes a campaign by where the machine is not known to have what it asks
// for.
func needs(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("WEIR_TORTURE") == "" {
		t.Skipf("it needs %s: WEIR_TORTURE=1 runs it (make torture)", what)
	}
}
