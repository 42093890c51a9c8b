package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFiguresGoToTheFileThatIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figures")
	t.Setenv(Figures, path)
	Figure(t, "%d%% of %s", 99, "it")
	Figure(t, "more")
	want := t.Name() + ": 99% of it\n" + t.Name() + ": more\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	t.Setenv(Figures, "")
	Figure(t, "less")
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%q, %v, without a file nothing is written", got, err)
	}
}
