package rules

import (
	"math"
	"slices"

	"weir/event"
	"weir/windows"
)

// evaluator reads what a condition asks for, each figure once and only when it
// is asked for. Its Env's readers are bound once, so evaluating allocates
// nothing.
type evaluator struct {
	unit *Unit
	env  Env

	slot     uint32 // of the key, or of the member, whose aggregates are read
	tick     int64
	features []reading
	fixed    []float64 // values of features where they are not read here
	inline   []reading
	given    []float64 // values of inline where they are not read here
	signals  []signalPlan
	raw      [][]byte // the values of the rule's key, for signals; nil: the slot's

	cache []float64
	have  []bool
}

func newEvaluator(u *Unit) *evaluator {
	e := &evaluator{unit: u}
	e.env.Read = e.read
	e.env.Signal = e.signal
	return e
}

// at points the evaluator to a key; what it had read is forgotten.
func (e *evaluator) at(slot uint32, tick int64, features []reading, fixed []float64) {
	e.slot, e.tick, e.features, e.fixed = slot, tick, features, fixed
	if n := len(features); n > len(e.have) {
		e.cache, e.have = make([]float64, n), make([]bool, n)
	}
	clear(e.have[:len(features)])
}

// eval evaluates a condition; nil holds. One that asks for the target has its
// figures in t; where there are none it does not hold.
func (e *evaluator) eval(c *Cond, cp *condPlan, t *figures) bool {
	if c == nil {
		return true
	}
	e.inline, e.signals = cp.inline, cp.signals
	if c.Target {
		if t == nil || !t.ok {
			return false
		}
		e.env.Good, e.env.Tried, e.env.Clean = t.good, t.tried, t.clean
	}
	return c.Eval(&e.env)
}

// near reports whether a rule's condition that does not hold would hold with
// half of what it demands.
func (e *evaluator) near(c *Cond, cp *condPlan) bool {
	e.inline, e.signals = cp.inline, cp.signals
	return c.near != nil && c.near(&e.env)
}

func (e *evaluator) read(i int) float64 {
	if i >= len(e.features) {
		i -= len(e.features)
		if e.given != nil {
			return e.given[i]
		}
		return e.unit.load(e.slot, &e.inline[i], e.tick)
	}
	if e.fixed != nil {
		return e.fixed[i]
	}
	if !e.have[i] {
		e.cache[i] = e.unit.load(e.slot, &e.features[i], e.tick)
		e.have[i] = true
	}
	return e.cache[i]
}

// appendAll appends every feature of the rule.
func (e *evaluator) appendAll(dst []float64) []float64 {
	dst = slices.Grow(dst, len(e.features))
	for i := range e.features {
		dst = append(dst, e.read(i))
	}
	return dst
}

func (e *evaluator) signal(i int) bool {
	s := &e.signals[i]
	st := e.unit.state
	t := &st.plan.tables[st.plan.rules[s.rule].table]
	raw := e.raw
	k := t.keyOf(func(i int) uint64 {
		f := s.fields[i]
		if f.at < 0 {
			return f.hash
		}
		if raw == nil {
			e.unit.values = e.unit.win.AppendValues(e.slot, e.unit.values[:0])
			raw = e.unit.values
		}
		return st.plan.hashValue(raw[f.at])
	})
	return st.board.until(s.rule, k.Lo) > e.tick-int64(s.window)
}

// load reads an aggregate of a key as of a tick; NaN is undefined.
func (u *Unit) load(slot uint32, r *reading, tick int64) float64 {
	switch r.fn {
	case Count:
		return float64(u.win.Total(slot, r.a, r.window, tick))
	case Rate:
		return float64(u.win.Total(slot, r.a, r.window, tick)) / float64(r.window)
	case Ratio:
		n, all := u.win.Total(slot, r.a, r.window, tick), u.win.Total(slot, r.b, r.window, tick)
		if all == 0 {
			return math.NaN()
		}
		return float64(n) / float64(all)
	case RatioLow:
		return wilsonLow(u.win.Total(slot, r.a, r.window, tick), u.win.Total(slot, r.b, r.window, tick))
	case Sum:
		return inUnits(u.win.Total(slot, r.a, r.window, tick), r.field)
	case Min, Max:
		lo, hi, ok := u.win.MinMax(slot, r.a, r.window, tick)
		if r.fn == Max {
			lo = hi
		}
		return orNaN(inUnits(lo, r.field), ok)
	case Distinct:
		return math.Round(u.win.Distinct(slot, r.a, r.window, tick))
	case Top:
		return orNaN(u.win.Top(slot, r.a, r.window, tick))
	case Entropy:
		return orNaN(u.win.Entropy(slot, r.a, r.window, tick))
	case Surge:
		return u.win.Surge(slot, r.a, r.window, tick)
	case Cadence:
		return orNaN(u.win.Cadence(slot, r.a, r.window, tick))
	}
	first, last, ok := u.win.Span(slot, r.a, r.window, tick)
	if r.fn == Last {
		first = last
	}
	return orNaN(float64(tick-first), ok)
}

func orNaN(v float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return v
}

// inUnits turns a kept number into the field's unit: durations are kept in
// microseconds and read in seconds.
func inUnits(v uint64, f event.Field) float64 {
	if f == event.FieldDuration {
		return float64(v) / 1e6
	}
	return float64(v)
}

// wilsonLow is the lower end of the 99 % Wilson score interval of a share n of
// all (E. B. Wilson, Probable inference, the law of succession, and
// statistical inference, 1927): small counts prove little. NaN for none.
func wilsonLow(n, all uint64) float64 {
	if all == 0 {
		return math.NaN()
	}
	const z = 2.5758293035489004 // two-sided 99 %
	t := float64(all)
	share := float64(n) / t
	z2 := float64(z * z)
	mid := share + z2/(2*t)
	half := z * math.Sqrt(float64(share*(1-share)/t)+float64(z2/(4*t*t)))
	return max(0, (mid-half)/(1+float64(z2/t)))
}

// figures are a target's good, tried and clean; ok is false where no state of
// the target is held.
type figures struct {
	good, tried float64
	clean       bool
	ok          bool
}

// before returns how many successes of a target there were, of whom a decision
// with that exception hits, in the week as of a tick up to an hour before an
// onset, by the whole hour: what succeeds while an attack is on may be the
// attacker's. It is not known where less than a day was collected by the onset,
// or where less than a day before it is left of that week.
func (u *Unit) before(table int, slot uint32, except event.Field, onset, tick int64) (n uint64, known bool) {
	tr := u.state.plan.tables[table].target
	series := tr.vouched
	for _, e := range tr.spared {
		if e.field == except {
			series = e.hit
		}
	}
	end := floor(onset-3600, 3600)
	if !u.state.defined(u.state.plan.since(table, series, windows.W7d), onset) || end-windows.W7d.Start(tick) < day {
		return 0, false
	}
	return u.win.TotalBefore(slot, series, windows.W7d, tick, end), true
}

// figuresOf reads a target's figures as of a tick.
func (u *Unit) figuresOf(table int, slot uint32, tick int64) figures {
	tr := u.state.plan.tables[table].target
	f := figures{ok: true}
	f.good = math.Round(u.win.Distinct(slot, tr.goodActors, windows.W7d, tick))
	f.tried = math.Round(u.win.Distinct(slot, tr.triedActors, windows.W7d, tick))
	ok1h, tries1h := u.win.Total(slot, tr.successes, windows.W1h, tick), u.win.Total(slot, tr.tries, windows.W1h, tick)
	ok7d, tries7d := u.win.Total(slot, tr.successes, windows.W7d, tick), u.win.Total(slot, tr.tries, windows.W7d, tick)
	f.clean = within(ok1h, tries1h, 50) && within(ok7d-min(ok7d, ok1h), tries7d-min(tries7d, tries1h), 100)
	return f
}

// within reports whether n is at most max(1, all/part).
func within(n, all, part uint64) bool { return n <= 1 || n*part <= all }

// findTarget reads the figures of a target that may be unknown here.
func (u *Unit) findTarget(table int, k windows.Key, tick int64) (f figures, slot uint32) {
	slot, ok := u.win.Find(k)
	if !ok {
		return figures{}, 0
	}
	return u.figuresOf(table, slot, tick), slot
}
