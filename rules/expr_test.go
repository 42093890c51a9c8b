package rules

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"pgregory.net/rapid"

	"weir/event"
)

// grammar writes random expressions.
type grammar struct {
	t       *rapid.T
	texts   []string // names that are texts, with constants to compare them with
	numbers []string
	conds   []string
	divide  bool // / and %, and what else makes values undefined
	odd     bool // the shapes that closures do not cover
}

func (g *grammar) pick(of ...string) string { return rapid.SampledFrom(of).Draw(g.t, "") }

var constants = []string{`"login"`, `"/a"`, `"/login"`, `"a"`, `""`, `"success"`, `"POST"`}

func (g *grammar) number(depth int) string {
	if depth <= 0 || rapid.IntRange(0, 2).Draw(g.t, "") > 0 {
		return g.pick(append([]string{"0", "1", "2.5", "20", "401", "-3"}, append(g.numbers, g.numbers...)...)...)
	}
	operators := []string{"+", "-", "*"}
	if g.divide {
		operators = append(operators, "/", "%")
	}
	a, b, o := g.number(depth-1), g.number(depth-1), g.pick(operators...)
	if o == "/" || o == "%" {
		if b == "0" {
			b = "7"
		}
		return "(" + a + ") " + o + " (" + b + ")"
	}
	return fmt.Sprintf(g.pick("%s %s %s", "(%s) %s (%s)", "(%s %s %s)"), a, o, b)
}

func (g *grammar) cond(depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(g.t, "") {
		case 0, 1:
			return g.cond(depth-1) + g.pick(" and ", " && ", " or ", " || ") + g.cond(depth-1)
		case 2:
			return g.pick("not (", "!(", "(") + g.cond(depth-1) + ")"
		case 3:
			if g.odd {
				return "(" + g.cond(depth-1) + ")" + g.pick(" == ", " != ") + "(" + g.cond(depth-1) + ")"
			}
		}
	}
	switch n := rapid.IntRange(0, 6).Draw(g.t, ""); {
	case n == 0:
		return g.pick(append(g.conds, "true", "false")...)
	case n <= 2 && len(g.texts) > 0:
		name := g.pick(g.texts...)
		if name == "ip" {
			return g.pick(`ip == "192.0.2.7"`, `ip != "192.0.2.7"`, `ip in ["192.0.2.7", "2001:db8:1:2::/64", ""]`, `ip == "2001:db8:1:2::/64"`, `inside(ip, "192.0.2.0/24")`, `not inside(ip, "2001:db8::/32")`)
		}
		if name == "kind" {
			return g.pick(`kind == "login"`, `kind != "login"`, `kind in ["login", "signup"]`, `"" == kind`, `kind not in ["", "search"]`)
		}
		return name + g.pick(" == ", " != ", " contains ", " startsWith ", " endsWith ", " not contains ") + g.pick(append(constants, "path", "actor")...)
	case n == 3 && len(g.texts) > 0:
		return g.pick(`path in ["/a", "/login"]`, `path not in ["/a", "/b"]`, `method matches "^P(O|U)"`, `not (path matches "a$")`, `"POST" == method`)
	case n == 4:
		return g.number(1) + g.pick(" in ", " not in ") + g.pick("[0, 20, 401]", "[401]", "[0,1,2,3,4,5,6,7,8,9,401]", "400..499", "0..3")
	case n == 5 && g.odd && len(g.numbers) > 0:
		return g.number(1) + " in [1, " + g.pick(g.numbers...) + "]"
	}
	return g.number(2) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + g.number(2)
}

func newGrammar(t *rapid.T) *grammar {
	return &grammar{
		t: t, texts: []string{"path", "method", "kind", "ip", "actor"}, numbers: []string{"status", "bytes", "duration"},
		conds: []string{"known(ip)", "denied(ip)", "seen(session)", `lookup("office", path)`, "deprecated"}, divide: true,
	}
}

func newFeatureGrammar(t *rapid.T) *grammar {
	return &grammar{t: t, numbers: []string{"a", "b", "c", `count("10m")`, `count("1h", status == 401)`, "good", "tried"}, conds: []string{"clean", `signal("x.y", "1h")`}, divide: true}
}

func randomEvent(t *rapid.T) *event.Event {
	ev := &event.Event{}
	ev.Reset()
	pick := func(s ...string) string { return rapid.SampledFrom(s).Draw(t, "") }
	ev.Path = pick("", "/a", "/login", "/login/a")
	ev.Method = pick("", "POST", "PUT", "GET")
	ev.Session = pick("", "a")
	ev.Credential = pick("", "", "a", "login")
	ev.Kind = rapid.SampledFrom([]event.Kind{event.NoKind, event.Login, event.Signup, event.Search}).Draw(t, "")
	ev.IP = rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.3.7"), netip.MustParseAddr("2001:db8:1:2::")}).Draw(t, "")
	ev.Status = rapid.SampledFrom([]int32{0, 200, 401, 404}).Draw(t, "")
	ev.Bytes = rapid.SampledFrom([]int64{-1, 0, 1, 20}).Draw(t, "")
	ev.Duration = rapid.SampledFrom([]int64{-1, 0, 1e6, 25e5}).Draw(t, "")
	ev.Deprecated = rapid.Bool().Draw(t, "")
	return ev
}

func randomFacts(t *rapid.T) *Facts {
	st := &Facts{Lookups: map[string]func(string) bool{"office": func(s string) bool { return s == "/a" }}}
	if n := rapid.IntRange(0, 4).Draw(t, ""); n > 0 {
		st.Standing = NewStanding(n > 1, func(ev *event.Event, f event.Field) (uint64, bool) {
			s := ev.Str(f)
			return uint64(len(s)), s != ""
		})
		st.Standing.Add(Known, event.FieldIP, 9)
		st.Standing.Add(Denied, event.FieldIP, 7)
		st.Standing.Add(Seen, event.FieldSession, 1)
	}
	return st
}

func randomEnv(t *rapid.T) *Env {
	values := make([]float64, 5)
	for i := range values {
		values[i] = rapid.SampledFrom([]float64{0, 1, 2.5, -3, 20, 401, 1e300, math.NaN(), math.Inf(1)}).Draw(t, "")
	}
	on := rapid.Bool().Draw(t, "")
	return &Env{
		Read: func(i int) float64 { return values[i] }, Signal: func(int) bool { return on },
		Good:  rapid.SampledFrom([]float64{0, 1, 20, math.NaN()}).Draw(t, ""),
		Tried: rapid.SampledFrom([]float64{0, 1, 20}).Draw(t, ""), Clean: rapid.Bool().Draw(t, ""),
	}
}

// compileCond compiles a condition on the features a, b and c.
func compileCond(t testing.TB, text string) *Cond {
	p := loose(text)
	s := &scope{features: []Feature{{Name: "a"}, {Name: "b"}, {Name: "c"}}, target: true}
	c := &checker{phrase: p, opt: testOptions, spent: &budget{}, feat: s}
	n := c.condition()
	if n == nil {
		t.Fatalf("%s: %v", text, p.doc.err())
	}
	return newCond(n, s)
}

// Each property draws this many expressions in each of rapid's 100 rounds.
const perRound = 110

func TestEventConditionsAgreeWithTheMachine(t *testing.T) {
	start, n, held := time.Now(), 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := newGrammar(t)
		for range perRound {
			text := g.cond(3)
			e, err := CompileEvent(text, testOptions)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			oracle := vmMatch(e.tree)
			for range 4 {
				ev, st := randomEvent(t), randomFacts(t)
				got, want := e.Match(ev, st), oracle(ev, st)
				if got != want {
					t.Fatalf("%s\nas %s: closures %v, machine %v for %+v", text, e.Text, got, want, ev)
				}
				if got && e.Kinds&(1<<ev.Kind) == 0 {
					t.Fatalf("%s holds for kind %q, which Kinds %#x lacks", text, ev.Kind, e.Kinds)
				}
				every := true
				for _, c := range e.Conjuncts {
					every = every && c.Match(ev, st)
				}
				if every != got {
					t.Fatalf("%s: %v, its conjuncts %v", text, got, every)
				}
				if got {
					held++
				}
			}
			n++
		}
	})
	t.Logf("%d expressions, held %d times of %d, in %v", n, held, 4*n, time.Since(start))
	if n < 10_000 || held < n/4 {
		t.Errorf("%d expressions held %d times: too few", n, held)
	}
}

func TestFeatureConditionsAgreeWithTheMachine(t *testing.T) {
	start, n, held := time.Now(), 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := newFeatureGrammar(t)
		for range perRound {
			text := g.cond(3)
			c := compileCond(nil, text)
			oracle := vmEval(c.tree)
			for range 4 {
				env := randomEnv(t)
				got, want := c.Eval(env), oracle(env)
				if got != want {
					t.Fatalf("%s\nas %s: closures %v, machine %v", text, c.Text, got, want)
				}
				if got {
					held++
				}
			}
			n++
		}
	})
	t.Logf("%d expressions, held %d times of %d, in %v", n, held, 4*n, time.Since(start))
	if n < 10_000 || held < n/4 {
		t.Errorf("%d expressions held %d times: too few", n, held)
	}
}

// The checked tree means what expr makes of the text itself, where nothing is
// undefined and the text has no shape that weir reads in its own way.
func TestCheckedTreesMeanWhatExprMakesOfTheText(t *testing.T) {
	type plain struct {
		A  float64 `expr:"a"`
		B  float64 `expr:"b"`
		C  float64 `expr:"c"`
		On bool    `expr:"clean"`
		G  float64 `expr:"good"`
		T  float64 `expr:"tried"`
	}
	rapid.Check(t, func(t *rapid.T) {
		g := &grammar{t: t, numbers: []string{"a", "b", "c", "good", "tried"}, conds: []string{"clean"}, odd: true}
		for range 8 {
			text := g.cond(3)
			if strings.Contains(text, "..") {
				continue // expr has no fractions in a range
			}
			p, err := expr.Compile(text, expr.Env(plain{}), expr.AsBool())
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			c := compileCond(nil, text)
			for range 4 {
				v := func() float64 { return rapid.SampledFrom([]float64{0, 1, 2.5, -3, 20, 401}).Draw(t, "") }
				e := plain{A: v(), B: v(), C: v(), On: rapid.Bool().Draw(t, ""), G: v(), T: v()}
				got := c.Eval(&Env{Read: func(i int) float64 { return []float64{e.A, e.B, e.C}[i] }, Good: e.G, Tried: e.T, Clean: e.On})
				want, err := expr.Run(p, e)
				if err != nil || got != want {
					t.Fatalf("%s\nas %s: got %v, want %v (%v) for %+v", text, c.Text, got, want, err, e)
				}
			}
		}
	})
}

func TestCanonicalTextReadsAsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGrammar(t)
		g.odd = true
		for range 10 {
			text := g.cond(3)
			e, err := CompileEvent(text, testOptions)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			again, err := CompileEvent(e.Text, testOptions)
			if err != nil {
				t.Fatalf("%s\nas %s: %v", text, e.Text, err)
			}
			if again.Text != e.Text {
				t.Fatalf("%s\nas %s\nas %s", text, e.Text, again.Text)
			}
		}
	})
}

// What closures do not cover runs in the machine, and means the same as its
// rewording that they do cover.
func TestShapesWithoutClosuresRunInTheMachine(t *testing.T) {
	for _, c := range []struct{ text, reworded string }{
		{"(a > 1) == (b > 1)", "(a > 1 and b > 1) or (not (a > 1) and not (b > 1))"},
		{"(a > 1) != clean", "(a > 1 and not clean) or (not (a > 1) and clean)"},
		{"a in [1, b, c * 2]", "a == 1 or a == b or a == c * 2"},
		{"a not in [b, 20] and c > 1", "not (a == b or a == 20) and c > 1"},
	} {
		odd, plain := compileCond(t, c.text), compileCond(t, c.reworded)
		if compile(odd.tree, featureLeaves{}) != nil {
			t.Errorf("%s: has closures", c.text)
		}
		if compile(plain.tree, featureLeaves{}) == nil {
			t.Errorf("%s: has no closures", c.reworded)
		}
		held := 0
		for _, a := range []float64{0, 1, 2, 20} {
			for _, b := range []float64{0, 2, 20} {
				for _, x := range []float64{0, 2, 10} {
					for _, clean := range []bool{false, true} {
						env := &Env{Read: func(i int) float64 { return []float64{a, b, x}[i] }, Clean: clean}
						got, want := odd.Eval(env), plain.Eval(env)
						if got != want {
							t.Errorf("%s: %v, %s: %v for %v %v %v %v", c.text, got, c.reworded, want, a, b, x, clean)
						}
						if got {
							held++
						}
					}
				}
			}
		}
		if held == 0 {
			t.Errorf("%s never held", c.text)
		}
	}
	e, err := CompileEvent(`(status == 401) == (kind == "login")`, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	ev := &event.Event{Status: 401, Kind: event.Login, Bytes: -1}
	if !e.Match(ev, nil) {
		t.Error("the machine does not hold for an event")
	}
	if ev.Status = 0; e.Match(ev, &Facts{}) {
		t.Error("the machine holds though the status is undefined")
	}
}
