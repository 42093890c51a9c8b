package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var maketime = time.Unix(1_000_000_000, 0)

func TestFigureThatGotWorseIsTold(t *testing.T) {
	for _, c := range []struct {
		says    string
		was, is float64
		worse   bool
	}{
		{saysBlocked + "attack/a", 0.99, 0.971, false},
		{saysBlocked + "attack/a", 0.99, 0.969, true},
		{saysStopped + "attack/a", 0.5, 0.9, false},
		{saysStopped + "attack/a", 0.9, 0.5, true},
		{saysHurt + "honest", 0, 0.0001, false},
		{saysHurt + "honest", 0, 0.00011, true},
		{saysHurt + "honest", 0.01, 0, false},
		{saysShared + "honest", 0.001, 0.002, true},
		{saysMilder + "honest", 0.001, 0.0029, false},
		{saysMilder + "honest", 0.001, 0.0031, true},
		{saysFirst + "attack/a", 10, 40, false},
		{saysFirst + "attack/a", 10, 41, true},
		{saysFirst + "attack/a", 1000, 1200, false},
		{saysFirst + "attack/a", 1000, 1201, true},
		{saysFirst + "attack/a", 1000, -1, true},
		{saysFirst + "attack/a", -1, 1000, false},
		{saysFirst + "attack/a", -1, -1, false},
		{saysGoal + "blocked of attack/*", 1, 0.9, true},
		{saysGoal + "blocked of attack/*", 0.5, 0.6, false},
	} {
		was := &record{Figures: map[string]figures{"campaigns": {"campaigns/a": {c.says: {c.was, c.was, c.was}}}}}
		now := figures{"campaigns/a": {c.says: {c.is, c.is, c.is}}, "campaigns/new": {c.says: {0, 0}}}
		if got := was.worse(now); (len(got) == 1) != c.worse || len(got) > 1 {
			t.Errorf("%s, %v and then %v: %q", c.says, c.was, c.is, got)
		}
		now["campaigns/a"][c.says] = figure{c.was, c.is, c.was} // one seed alone
		if got := was.worse(now); (len(got) == 1) != c.worse {
			t.Errorf("%s, the worst was %v and is %v: %q", c.says, c.was, c.is, got)
		}
		now["campaigns/a"][c.says] = figure{c.was} // fewer seeds, and as good
		if got := was.worse(now); len(got) > 0 {
			t.Errorf("%s of one seed, as it was: %q", c.says, got)
		}
	}
}

func TestGoalThatWasReachedAndIsMissedIsTold(t *testing.T) {
	was := &record{Figures: map[string]figures{"campaigns": {"campaigns/a": {saysHurt + "honest": {0, 0, 0}}}}}
	got := was.worse(figures{"campaigns/a": {saysHurt + "honest": {0, 0, 0}, saysGoal + "blocked of attack/*": {1, 0, 0}}})
	if len(got) != 1 || !strings.Contains(got[0], "goal blocked of attack/*: the median was 100 %, is 0 %") {
		t.Errorf("%q", got)
	}
	was = &record{Figures: map[string]figures{"campaigns": {"campaigns/a": {saysGoal + "x": {0, 1}, saysStopped + "attack/a": {1, 1}}}}}
	got = was.worse(figures{"campaigns/a": {saysHurt + "honest": {0, 0}}}) // now reached; but an attack is gone
	if len(got) != 1 || !strings.Contains(got[0], "stopped attack/a: is not measured any more") {
		t.Errorf("%q", got)
	}
}

// settled runs settle over a document and a record in a directory of their own.
func settled(t *testing.T, f *flags, stopped float64) (string, error) {
	t.Helper()
	var out bytes.Buffer
	doc := &document{parts: []string{"campaigns"}, text: map[string]string{"campaigns": "| a |\n"}}
	err := f.settle(doc, figures{"campaigns/a": {saysStopped + "attack/a": {stopped, stopped}}}, &out)
	return out.String(), err
}

func TestDocumentIsWrittenOnlyWhereNothingGotWorse(t *testing.T) {
	dir := t.TempDir()
	f := &flags{document: filepath.Join(dir, "doc.md"), record: filepath.Join(dir, "record.json"), lock: filepath.Join(dir, "lock"), write: true}
	empty := "above\n" + begins("campaigns") + ends("campaigns") + "below\n"
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write(f.document, empty)
	write(f.lock, "# a comment\na.rule 1 aa\nb.rule 1 bb\n")
	if out, err := settled(t, f, 0.9); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := read(f.document)
	if !strings.HasPrefix(first, "above\n") || !strings.HasSuffix(first, "below\n") || !strings.Contains(first, "Made with 2 rules, `versions.lock` ") || !strings.Contains(first, "| a |") {
		t.Errorf("%s", first)
	}
	write(f.document, empty)
	kept := read(f.record)
	out, err := settled(t, f, 0.8)
	if err == nil || !strings.Contains(out, "stopped attack/a: the median was 90.0 %, is 80.0 %") || read(f.document) != empty || read(f.record) != kept {
		t.Errorf("worse: %v\n%s\n%s", err, out, read(f.document))
	}
	f.accept = true
	if _, err := settled(t, f, 0.8); err != nil || read(f.document) != first || read(f.record) == kept {
		t.Errorf("worse, and accepted: %v\n%s", err, read(f.document))
	}
	again, err := readRecord(f.record)
	if err != nil || !slices.Equal(again.Figures["campaigns"]["campaigns/a"][saysStopped+"attack/a"], figure{0.8, 0.8}) || again.Parts["campaigns"] == "" {
		t.Errorf("the record reads %+v, %v", again, err)
	}
	f.write = false
	write(f.document, empty)
	if _, err := settled(t, f, 0.9); err != nil || read(f.document) != empty {
		t.Errorf("only compared: %v\n%s", err, read(f.document))
	}
	f.write = true
	write(f.document, "no marks")
	if _, err := settled(t, f, 0.8); err == nil || !strings.Contains(err.Error(), "no line") {
		t.Errorf("without marks: %v", err)
	}
	write(f.record, `{"v": 9}`)
	if _, err := settled(t, f, 0.8); err == nil || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("of another format: %v", err)
	}
}
