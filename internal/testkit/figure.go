package testkit

import (
	"fmt"
	"os"
)

// Figures names the environment variable that says which file figures go to.
const Figures = "WEIR_FIGURES"

// Figure logs what a test has measured and, where WEIR_FIGURES names a file,
// appends it there as a line with the test's name: a test that passes shows its
// log only to those who ask for it. A line that cannot be written fails the test.
func Figure(t interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Logf("%s", text)
	path := os.Getenv(Figures)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Errorf("%s: %v", Figures, err)
		return
	}
	// One write, so that those of packages that are tested at once do not mix.
	_, err = fmt.Fprintf(f, "%s: %s\n", t.Name(), text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		t.Errorf("%s: %v", Figures, err)
	}
}
