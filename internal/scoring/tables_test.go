package main

import (
	"strings"
	"testing"

	"weir/simulate/score"
)

func TestGoalsOfNobodyAreNotCounted(t *testing.T) {
	goal := func(what, note string, pass bool, change func(*score.Verdict)) score.MergedGoal {
		g := score.MergedGoal{Verdict: score.Verdict{Labels: "l", What: what, Note: note, Pass: pass}, Runs: 2}
		if pass {
			g.Passed = 2
		}
		if change != nil {
			change(&g.Verdict)
		}
		return g
	}
	found := &scored{
		trials: []trial{{scenario: "s"}},
		merged: []*score.Merged{{Goals: []score.MergedGoal{
			goal("most blocked", "no requests", true, nil),
			goal("most blocked", "", true, nil),
			goal("blocked", "no label is meant", false, nil),
			goal("blocked", "", true, func(v *score.Verdict) { v.Logins = true }),
			goal("stopped", "", true, func(v *score.Verdict) { v.Above = 3 }),
			goal("alert", "", false, nil),
		}}},
	}
	var missed, apart strings.Builder
	goalRows(found, &missed)
	apartRows(found, &apart)
	for _, c := range []struct {
		name, in string
		rows     int
		has      []string
	}{
		{"missed", missed.String(), 2, []string{"3 of 5 goals are reached by every seed.", "no label is meant", "an alert or more"}},
		{"apart", apart.String(), 3, []string{"of the tries to log in", "of what exceeds 3 times the normal", "an alert or more"}},
	} {
		if n := strings.Count(c.in, "| s |"); n != c.rows {
			t.Errorf("%s: %d rows, must be %d:\n%s", c.name, n, c.rows, c.in)
		}
		for _, has := range c.has {
			if !strings.Contains(c.in, has) {
				t.Errorf("%s lacks %q:\n%s", c.name, has, c.in)
			}
		}
	}
}
