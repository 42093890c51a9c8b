package rules

import (
	"math/rand/v2"
	"testing"

	"weir/windows"
)

func quietRule() *Rule {
	return &Rule{Features: []Feature{
		{Name: "a", Aggregate: Aggregate{Func: Count}},
		{Name: "b", Aggregate: Aggregate{Func: Distinct}},
		{Name: "c", Aggregate: Aggregate{Func: Ratio}},
	}}
}

// readsAs is an evaluator whose features have these values.
func readsAs(values ...float64) *evaluator {
	e := newEvaluator(nil)
	e.features, e.cache = make([]reading, len(values)), values
	e.have = make([]bool, len(values))
	for i := range e.have {
		e.have[i] = true
	}
	return e
}

func TestHowManyEventsAConditionIsShortOf(t *testing.T) {
	const unbound = -1
	for _, c := range []struct {
		text    string
		a, b, c float64
		want    int
	}{
		{"a >= 20", 0, 0, 0, 20},
		{"a >= 20", 13, 0, 0, 7},
		{"a >= 20", 20, 0, 0, 0},
		{"a >= 20", 50, 0, 0, 0},
		{"a > 20", 0, 0, 0, 21},
		{"a >= 2.5", 0, 0, 0, 3},
		{"20 <= a", 1, 0, 0, 19},
		{"b >= 12", 100, 5, 0, 7},
		{"b >= 500", 0, 90, 0, 7}, // 97 and more are an estimate, which may leap
		{"b >= 500", 0, 97, 0, 0},
		{"a >= 5000", 0, 0, 0, windows.MostQuiet},
		{"a >= 20 and b >= 30", 15, 10, 0, 20},
		{"a >= 20 or b >= 30", 15, 10, 0, 5},
		{"a >= 20 and c >= 0.5", 15, 0, 1, 5},
		{"a >= 20 and (b >= 30 or c >= 0.5)", 18, 0, 0, 2},
		{"a >= 20 or c >= 0.5", 0, 0, 0, unbound},
		{"c >= 3", 0, 0, 0, unbound},
		{"a <= 20", 30, 0, 0, unbound},
		{"a == 20", 0, 0, 0, unbound},
		{"not (a < 20)", 0, 0, 0, unbound},
		{"a >= b", 0, 0, 0, unbound},
		{"a * 2 >= 40", 0, 0, 0, unbound},
	} {
		got := unbound
		if s := shortfallOf(compileCond(t, c.text).tree, quietRule()); s != nil {
			got = s(readsAs(c.a, c.b, c.c))
		}
		if got != c.want {
			t.Errorf("%s at a=%v b=%v c=%v: short of %d, want %d", c.text, c.a, c.b, c.c, got, c.want)
		}
	}
}

// With fewer events than a condition is short of, whatever they bring, it does not hold.
func TestShortOfWhatAConditionNeedsItDoesNotHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	reached := 0
	for _, text := range []string{
		"a >= 7", "b > 4 and a >= 9", "a >= 12 or b >= 3", "(a >= 5 or b >= 6) and c >= 0.5", "a >= 3 and b >= 3 and c < 0.2",
	} {
		cond := compileCond(t, text)
		short := shortfallOf(cond.tree, quietRule())
		for range 2000 {
			v := []float64{float64(rng.IntN(15)), float64(rng.IntN(8)), rng.Float64()}
			n := short(readsAs(v...))
			more := rng.IntN(12)
			v[0] = max(0, v[0]+float64(rng.IntN(more+1)-rng.IntN(4))) // time takes away
			v[1] = max(0, v[1]+float64(rng.IntN(more+1)-rng.IntN(4)))
			v[2] = rng.Float64()
			if !cond.Eval(&readsAs(v...).env) {
				continue
			}
			if reached++; more < n {
				t.Fatalf("%s holds with %v, %d events later; it was short of %d", text, v, more, n)
			}
		}
	}
	if reached < 1000 {
		t.Errorf("%d conditions held, too few to say anything", reached)
	}
}
