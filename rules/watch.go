package rules

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"weir/event"
	"weir/windows"
)

// Watch looks on while one rule is evaluated and keeps how near keys came to
// its condition. It is for a run with one worker: nothing in it is locked.
type Watch struct {
	Evaluated int64  // how often the condition was evaluated
	Held      int64  // and held
	Keys      int64  // for how many keys it held, at most maxWatched are told apart
	Terms     []Term // the comparisons that it is made of
	Nearest   []Near // the keys that came nearest without reaching it

	plan  *Plan
	rule  int
	near  nearness // of the whole condition
	terms []watchedTerm
	held  map[windows.Key]struct{}
}

// Term is one part of a condition.
type Term struct {
	Text string
	Held int64 // how often it held
	// Best is, of a comparison of a number with a constant, the value that came
	// furthest: the largest of >= and >, the smallest of <= and <. BestKey and
	// BestTick say where; a nil BestKey that there was none.
	Best     float64
	BestKey  event.Target
	BestTick int64
}

// Near is a key that a condition did not hold for, at its nearest.
type Near struct {
	Key    event.Target
	Tick   int64
	Score  float64         // between 0, far, and 1, it held
	Values []event.Measure // of the features
	Lacks  []string        // the terms that do not hold
	key    windows.Key
}

// The limits on what a Watch keeps.
const (
	maxNear    = 5
	maxWatched = 1 << 16
)

// watchedTerm is a term with the functions that read it.
type watchedTerm struct {
	near nearness
	side value[*Env] // of a comparison with a constant; nil: another term
	up   bool        // the larger the nearer
}

// Watch makes the plan's runs look at a rule.
func (p *Plan) Watch(id string) (*Watch, error) {
	i := slices.IndexFunc(p.Rules, func(r *Rule) bool { return r.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("there is no rule %s%s", id, didYouMean(id, p.ids()))
	}
	w := &Watch{plan: p, rule: i, held: map[windows.Key]struct{}{}}
	root := p.Rules[i].When.tree
	w.near = nearnessOf(root)
	w.split(root)
	p.watch = w
	return w, nil
}

// split takes a condition apart at and and or.
func (w *Watch) split(n *node) {
	if n.op == opAnd || n.op == opOr {
		for _, m := range n.list {
			w.split(m)
		}
		return
	}
	text := n.String()
	if slices.ContainsFunc(w.Terms, func(t Term) bool { return t.Text == text }) {
		return
	}
	t := watchedTerm{near: nearnessOf(n)}
	if n.b != nil && n.b.op == opNum && n.op >= opLess && n.op <= opMoreEq {
		t.side, t.up = compileValue(n.a, featureLeaves{}), n.op == opMore || n.op == opMoreEq
	}
	w.terms, w.Terms = append(w.terms, t), append(w.Terms, Term{Text: text})
}

func (p *Plan) ids() (ids []string) {
	for _, r := range p.Rules {
		ids = append(ids, r.ID)
	}
	return ids
}

// look notes how near a key is. The unit's evaluator is pointed to it.
func (w *Watch) look(u *Unit, rule int, t windows.Touch, tick int64) {
	if rule != w.rule {
		return
	}
	ev, when := u.ev, &w.plan.rules[rule].when
	ev.inline, ev.signals = when.inline, when.signals
	w.Evaluated++
	for i := range w.terms {
		term := &w.terms[i]
		if term.near(&ev.env) == 1 {
			w.Terms[i].Held++
		}
		if term.side != nil {
			ev.env.undefined = false
			if v := term.side(&ev.env); !ev.env.undefined {
				w.best(&w.Terms[i], term.up, v, u, t, tick)
			}
		}
	}
	if w.plan.Rules[rule].When.Eval(&ev.env) {
		w.hold(t.Key)
	} else { // what is undefined makes the whole false, whatever its other parts say
		w.miss(u, t, tick, min(w.near(&ev.env), below1))
	}
}

func (w *Watch) best(term *Term, up bool, v float64, u *Unit, t windows.Touch, tick int64) {
	if term.BestKey == nil || up && v > term.Best || !up && v < term.Best {
		term.Best, term.BestKey, term.BestTick = v, w.keyOf(u, t), tick
	}
}

// hold notes a key that the condition holds for: it is no near miss any more.
func (w *Watch) hold(k windows.Key) {
	w.Held++
	if _, ok := w.held[k]; ok || len(w.held) >= maxWatched {
		return
	}
	w.held[k] = struct{}{}
	w.Keys++
	w.Nearest = slices.DeleteFunc(w.Nearest, func(n Near) bool { return n.key == k })
}

// miss keeps the keys that came nearest, each once.
func (w *Watch) miss(u *Unit, t windows.Touch, tick int64, score float64) {
	at := slices.IndexFunc(w.Nearest, func(n Near) bool { return n.key == t.Key })
	switch {
	case at >= 0 && w.Nearest[at].Score >= score:
		return
	case at >= 0:
		w.Nearest = slices.Delete(w.Nearest, at, at+1)
	case score == 0 || len(w.Nearest) == maxNear && w.Nearest[maxNear-1].Score >= score:
		return
	}
	if _, ok := w.held[t.Key]; ok {
		return
	}
	n := Near{Key: w.keyOf(u, t), Tick: tick, Score: score, key: t.Key}
	for i, v := range u.ev.appendAll(nil) {
		n.Values = append(n.Values, event.Measure{Name: w.plan.Rules[w.rule].Features[i].Name, Value: v})
	}
	for i := range w.terms {
		if w.terms[i].near(&u.ev.env) != 1 {
			n.Lacks = append(n.Lacks, w.Terms[i].Text)
		}
	}
	w.Nearest = append(w.Nearest, n)
	slices.SortStableFunc(w.Nearest, func(a, b Near) int { return cmp.Compare(b.Score, a.Score) })
	w.Nearest = w.Nearest[:min(len(w.Nearest), maxNear)]
}

func (w *Watch) keyOf(u *Unit, t windows.Touch) event.Target {
	raw := u.win.AppendValues(t.Slot, nil)
	return w.plan.format(w.plan.tables[t.Table].fields, raw)
}

// nearness says how near a condition is to hold: 1 where it does, 0 where
// nothing can be said, else the share of the way of its numbers.
type nearness func(*Env) float64

func nearnessOf(n *node) nearness {
	switch n.op {
	case opAnd, opOr:
		return nearnessOfChain(n)
	case opLess, opLessEq, opMore, opMoreEq:
		a, b := compileValue(n.a, featureLeaves{}), compileValue(n.b, featureLeaves{})
		if a != nil && b != nil {
			return func(e *Env) float64 {
				e.undefined = false
				x, y := a(e), b(e)
				switch {
				case e.undefined:
					return 0
				case ordered(n.op, x, y):
					return 1
				case n.op == opLess || n.op == opLessEq:
					x, y = y, x
				}
				return share(x, y)
			}
		}
	}
	holds := vmEval(n)
	if p := compile(n, featureLeaves{}); p != nil {
		holds = func(e *Env) bool {
			e.undefined = false
			return p(e) && !e.undefined
		}
	}
	return func(e *Env) float64 {
		if holds(e) {
			return 1
		}
		return 0
	}
}

func nearnessOfChain(n *node) nearness {
	var parts []nearness
	for _, m := range n.list {
		parts = append(parts, nearnessOf(m))
	}
	if n.op == opOr {
		return func(e *Env) (best float64) {
			for _, p := range parts {
				best = max(best, p(e))
			}
			return best
		}
	}
	return func(e *Env) float64 { // below 1 unless all are 1, since no factor is above it
		all := 1.0
		for _, p := range parts {
			all *= p(e)
		}
		return all
	}
}

// below1 is as near as a condition can come that does not hold.
var below1 = math.Nextafter(1, 0)

// share returns how much of y the smaller x is, below 1.
func share(x, y float64) float64 {
	if x <= 0 || y <= 0 {
		return 0
	}
	return min(x/y, below1)
}
