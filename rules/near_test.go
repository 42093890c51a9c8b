package rules

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"weir/event"
	"weir/windows"
)

func TestHalfOfWhatAConditionDemands(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a >= 20", "a >= 10"},
		{"a > 5", "a > 2.5"},
		{"20 <= a", "a >= 10"},
		{"a >= 20 and b <= 3", "a >= 10 and b <= 3"},
		{"a >= 20 or b > 4 and c < 1", "a >= 10 or b > 2 and c < 1"},
		{"a * 2 - b >= 8", "a * 2 - b >= 4"},
		{"a >= 0 or b > -4", ""},
		{"a == 20", ""},
		{"a >= b", ""},
		{"not (a < 20 or b == 1)", ""},
		{"a in 10..20", ""},
		{`clean and signal("x.y", "1h")`, ""},
	} {
		n := compileCond(t, c.text).tree
		h := halved(n)
		switch {
		case c.want == "" && h != n:
			t.Errorf("%s: halved it is %s, want it as it is", c.text, h)
		case c.want != "" && h.String() != c.want:
			t.Errorf("%s: halved it is %s, want %s", c.text, h, c.want)
		}
		if (c.want == "") != (compileCond(t, c.text).near == nil) {
			t.Errorf("%s: near is compiled where it is not needed, or is not", c.text)
		}
	}
}

// nearly is what near means, worked out slowly.
func nearly(n *node, env *Env) bool {
	switch {
	case n.op == opAnd:
		for _, m := range n.list {
			if !nearly(m, env) {
				return false
			}
		}
		return true
	case n.op == opOr:
		for _, m := range n.list {
			if nearly(m, env) {
				return true
			}
		}
		return false
	case (n.op == opMore || n.op == opMoreEq) && n.b.op == opNum && n.b.num > 0:
		x := compileValue(n.a, featureLeaves{})(env)
		return x > n.b.num/2 || n.op == opMoreEq && x == n.b.num/2
	}
	return vmEval(n)(env)
}

// demands makes up a condition of which most parts demand something.
func demands(g *grammar, depth int) string {
	if depth > 0 && g.pick("join", "join", "one") == "join" {
		return "(" + demands(g, depth-1) + g.pick(" and ", " or ") + demands(g, depth-1) + ")"
	}
	x := g.pick("a", "b", "c", "good", "a + b", "2 * c", `count("10m")`, "tried - b")
	return g.pick(x+" >= 20", x+" > 401", "20 < "+x, x+" >= 3", x+" <= 12", "not ("+x+" < 20)", x+" == 12", x+" > -3", "clean", `signal("x.y", "1h")`)
}

func TestNearIsToHoldWithHalfOfWhatIsDemanded(t *testing.T) {
	n, near, held := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := newFeatureGrammar(t)
		for range 30 {
			c := compileCond(nil, demands(g, 3))
			for range 4 {
				values := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1.5, 2, 12, 15, 250, 300, 401}), 7, 7).Draw(t, "")
				on := rapid.Bool().Draw(t, "")
				env := &Env{
					Read: func(i int) float64 { return values[i] }, Signal: func(int) bool { return on },
					Good: values[5], Tried: values[6], Clean: rapid.Bool().Draw(t, ""),
				}
				holds := c.Eval(env)
				got := holds || c.near != nil && c.near(env)
				if want := nearly(c.tree, env); got != want {
					t.Fatalf("%s of %v: near %v, want %v", c.Text, values, got, want)
				}
				n++
				if got {
					near++
				}
				if holds {
					held++
				}
			}
		}
	})
	t.Logf("%d: %d near, of them %d held", n, near, held)
	if held < n/5 || near-held < n/10 {
		t.Errorf("of %d, %d were near and %d held: too few to compare", n, near, held)
	}
}

// While memory is short, keys that come near to a rule's condition outlive those
// that do not, however many there are of them.
func TestKeysThatARuleSuspectsAreTheLastToBeGivenUp(t *testing.T) {
	rule := "id: near.rule\nversion: 1\nkey: session\nwhere: \"true\"\nfeatures: {n: count(\"1h\")}\nwhen: n >= 8\n"
	const limit = 256 << 10
	st := NewState(storyPlan(t, PlanOptions{}, rule), 1, Limits{Accounted: limit}, enforced, named)
	m := NewMapper(st.plan, 1, nil)
	tick := int64(1_780_000_000)
	tell := func(name string, first, n, times int) {
		var d windows.Deltas
		events := make([]event.Event, 0, n*times)
		for i := range n * times {
			var e event.Event
			e.Reset()
			e.Second, e.Session = tick-1, fmt.Sprint(name, first+i/times)
			events = append(events, e)
		}
		m.Map(events, 0, nil, &d)
		st.Unit(0).Tick(tick, d.Rows, []*windows.Deltas{&d})
		tick++
	}
	held := func(name string, n int) (held int) {
		for i := range n {
			e := event.Event{Session: fmt.Sprint(name, i)}
			h, _ := st.plan.standingHash(&e, event.FieldSession)
			if _, ok := st.Unit(0).win.Find(st.plan.tables[0].keyOf(func(int) uint64 { return h })); ok {
				held++
			}
		}
		return held
	}
	for i := 0; !st.Unit(0).win.Pressed(); i += 50 {
		tell("before ", i, 50, 1)
		if i > 100_000 {
			t.Fatal("memory never gets short")
		}
	}
	tell("near ", 0, 20, 4)    // half of what is demanded
	tell("far ", 0, 20, 3)     // less than half
	tell("caught ", 0, 20, 20) // more than is demanded
	for i := range 200 {
		tell("flood ", 100*i, 100, 1)
		tell("flood ", 100*i, 100, 1) // who comes once may be turned away
	}
	if st.Totals().Shed.Keys == 0 {
		t.Fatal("nothing was given up")
	}
	if near, far, caught := held("near ", 20), held("far ", 20), held("caught ", 20); near != 20 || far != 0 || caught != 20 {
		t.Errorf("%d near ones are there, %d others, %d caught ones; want 20, 0 and 20", near, far, caught)
	}
}
