package rules

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// dump writes a rule as the golden files hold it.
func dump(r *Rule) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("id %s version %d severity %s stage %s", r.ID, r.Version, r.Severity, r.Stage)
	line("title %q tags %q false positives %q blind spots %q", r.Title, r.Tags, r.FalsePositives, r.BlindSpots)
	line("key %v", r.Key)
	line("where %s", r.Where.Text)
	line("  kinds %#x fields %v standing %v", r.Where.Kinds, r.Where.Fields, r.Where.Standing)
	for _, c := range r.Where.Conjuncts {
		line("  and %s", c.Text)
	}
	for _, f := range r.Features {
		line("feature %s = %s", f.Name, f.Aggregate.text(testOptions.Extras))
	}
	cond := func(name string, c *Cond) {
		line("%s %s", name, c.Text)
		line("  features %v signals %v target %v", c.Features, c.Signals, c.Target)
		for _, a := range c.Inline {
			line("  inline %s", a.text(testOptions.Extras))
		}
	}
	cond("when", r.When)
	for _, c := range r.Then {
		line("then %s %v for %v to %q except %v members %v", c.Action, c.Dims, c.For, c.To, c.Except, c.Members(r.Key))
		if c.If != nil {
			cond("  if", c.If)
		}
	}
	return b.String()
}

func TestGoodRulesAreReadAsWritten(t *testing.T) {
	for _, file := range sources(t, "testdata/good/*.yaml") {
		r, err := Parse(file, read(t, file), testOptions)
		if err != nil {
			t.Errorf("%s", err)
			continue
		}
		golden(t, filepath.ToSlash(strings.TrimSuffix(file, ".yaml"))+".golden", dump(r))
	}
}
