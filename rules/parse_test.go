package rules

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var testOptions = Options{Extras: event.Extras{"tenant", "plan"}, Lookups: []string{"office", "disposable_mail"}}

func sources(t testing.TB, pattern string) []string {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, file)); got != want {
		t.Errorf("%s:\n got:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestFaultyRulesSayWhatIsWrongAndWhere(t *testing.T) {
	files := sources(t, "testdata/errors/*.yaml")
	if len(files) < 40 {
		t.Fatalf("%d files, want at least 40", len(files))
	}
	for _, file := range files {
		start := time.Now()
		r, err := Parse(filepath.ToSlash(file), read(t, file), testOptions)
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("%s: took %v", file, took)
		}
		if err == nil {
			t.Errorf("%s: no error, rule %v", file, r)
			continue
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
	}
}

func TestEveryFaultIsAFaultWithAPlaceInItsFile(t *testing.T) {
	for _, file := range sources(t, "testdata/errors/*.yaml") {
		src := read(t, file)
		if len(src) > MaxSource {
			continue
		}
		_, err := Parse(file, src, testOptions)
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Errorf("%s: %T, want joined faults", file, err)
			continue
		}
		lines := strings.Split(string(src), "\n")
		for _, e := range joined.Unwrap() {
			var f *Fault
			if !errors.As(e, &f) {
				t.Errorf("%s: %T, want *Fault", file, e)
				continue
			}
			if f.Line < 1 || f.Line > len(lines) || f.Column < 1 || f.Column > len([]rune(lines[f.Line-1]))+1 {
				t.Errorf("%s: %d:%d is outside of the file", file, f.Line, f.Column)
			}
		}
	}
}
