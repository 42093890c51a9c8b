package rules

import (
	"testing"

	"weir/windows"
)

func TestHowManyEventsAConditionNeeds(t *testing.T) {
	rule := &Rule{Features: []Feature{
		{Name: "a", Aggregate: Aggregate{Func: Count}},
		{Name: "b", Aggregate: Aggregate{Func: Distinct}},
		{Name: "c", Aggregate: Aggregate{Func: Ratio}},
	}}
	for _, c := range []struct {
		text string
		want uint8
	}{
		{"a >= 20", 20},
		{"a > 20", 21},
		{"a > 2.5", 3},
		{"a >= 2.5", 3},
		{"20 <= a", 20},
		{"a == 4", 4},
		{"a in 7..9", 7},
		{"b >= 12", 12},
		{"b >= 96", 96},
		{"b >= 500", windows.ExactDistinct}, // an estimate may be too high
		{"a >= 5000", windows.ManyRows},     // more are not counted
		{"a >= 20 and b >= 30", 30},
		{"a >= 20 or b >= 3", 3},
		{"a >= 20 or c >= 0.5", 0},
		{"a >= 20 and (b >= 30 or c >= 0.5)", 20},
		{"a >= 0", 0},
		{"a > -3", 0},
		{"a <= 20", 0},
		{"a == 0", 0},
		{"not (a < 20)", 0},
		{"a >= b", 0},
		{"a * 2 >= 40", 0},
		{"c >= 3", 0},
	} {
		if got := eventsFor(compileCond(t, c.text).tree, rule); got != c.want {
			t.Errorf("%s: %d events, want %d", c.text, got, c.want)
		}
	}
}
