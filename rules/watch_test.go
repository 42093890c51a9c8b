package rules

import (
	"math"
	"testing"
)

func TestNearnessIsTheShareOfTheWay(t *testing.T) {
	for _, c := range []struct {
		cond string
		a, b float64
		want float64
	}{
		{"a >= 20", 20, 0, 1},
		{"a >= 20", 15, 0, 0.75},
		{"a > 20", 20, 0, math.Nextafter(1, 0)},
		{"a >= 20", 0, 0, 0},
		{"a >= 20", -3, 0, 0},
		{"a <= 0.2", 0.4, 0, 0.5},
		{"a < 10", 5, 0, 1},
		{"a >= b", 5, 10, 0.5},
		{"a >= 20 and b >= 0.9", 10, 0.45, 0.25},
		{"a >= 20 or b >= 0.9", 10, 0.225, 0.5},
		{"a == 3", 2, 0, 0},
		{"a == 3", 3, 0, 1},
		{"not (a == 3)", 3, 0, 0},
		{"a >= 20", math.NaN(), 0, 0},
		{"a == 3 or b >= 2", math.NaN(), 1, 0.5},
		{"(a > 1) == (b > 1)", 2, 2, 1}, // in the VM
	} {
		cond := compileCond(t, c.cond)
		env := &Env{Read: func(i int) float64 { return []float64{c.a, c.b}[i] }}
		if got := nearnessOf(cond.tree)(env); math.Abs(got-c.want) > 1e-12 || got == 1 != (c.want == 1) {
			t.Errorf("%s with a=%v b=%v: %v, want %v", c.cond, c.a, c.b, got, c.want)
		}
	}
}
