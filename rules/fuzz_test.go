package rules

import (
	"errors"
	"testing"
	"time"
)

// slow is what no text of 4 KiB may take; a loaded machine gets some slack.
const slow = 50 * time.Millisecond

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", "testdata/good/*.yaml"} {
		for _, file := range sources(f, pattern) {
			f.Add(read(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		start := time.Now()
		r, err := Parse("f.yaml", src, testOptions)
		if took := time.Since(start); took > slow {
			start = time.Now() // once more, for the machine may have been busy
			_, _ = Parse("f.yaml", src, testOptions)
			if again := time.Since(start); again > slow {
				t.Errorf("took %v and %v", took, again)
			}
		}
		if (r == nil) == (err == nil) {
			t.Fatalf("rule %v, error %v", r, err)
		}
		if err != nil {
			checkFaults(t, string(src), err)
			return
		}
		again, err := CompileEvent(r.Where.Text, testOptions)
		if err != nil || again.Text != r.Where.Text {
			t.Errorf("where %s reads as %v, %v", r.Where.Text, again, err)
		}
		if r.When == nil || len(r.Key) == 0 || r.ID == "" || r.Version < 1 {
			t.Errorf("%+v", r)
		}
	})
}

func checkFaults(t *testing.T, src string, err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if len(src) <= MaxSource {
			t.Fatalf("%T: %v", err, err)
		}
		return
	}
	for _, e := range joined.Unwrap() {
		var fault *Fault
		if !errors.As(e, &fault) || fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
			t.Errorf("%#v", e)
		}
	}
}

func FuzzCompileEvent(f *testing.F) {
	for _, text := range hotConditions {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := CompileEvent(text, testOptions)
		if err != nil {
			return
		}
		st := *hotFacts
		if got, want := e.Match(hotEvent, &st), vmMatch(e.tree)(hotEvent, &st); got != want {
			t.Errorf("%s as %s: closures %v, machine %v", text, e.Text, got, want)
		}
		if len(e.Text) > MaxSource {
			return // escapes have made it longer than what is read
		}
		again, err := CompileEvent(e.Text, testOptions)
		if err != nil || again.Text != e.Text {
			t.Errorf("%s as %s reads as %v, %v", text, e.Text, again, err)
		}
	})
}
