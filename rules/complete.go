package rules

import (
	"time"

	"weir/windows"
)

// Blind says that the log has a gap that ends at a tick: what windows that
// reach behind it say is too little. All units must be at rest.
func (st *State) Blind(tick int64) {
	st.blind = max(st.blind, tick)
	st.judgeWhole()
}

// judgeWhole works out for each rule from which tick on all that it reads is
// there: behind a gap, and behind the reload at which it began to be kept.
func (st *State) judgeWhole() {
	st.whole = make([]int64, len(st.plan.Rules))
	done := make([]bool, len(st.plan.Rules))
	for i := range st.plan.Rules {
		st.judgeRule(i, done)
	}
}

// judgeRule returns the tick from which a rule is whole. Rules that ask for each
// other's signals do not go in circles.
func (st *State) judgeRule(i int, done []bool) int64 {
	if done[i] {
		return st.whole[i]
	}
	done[i] = true
	r, rp := st.plan.Rules[i], &st.plan.rules[i]
	from := st.plan.Complete(i)
	if st.blind > 0 {
		if rp.surges {
			from = max(from, wholeFrom(st.blind, windows.W7d))
		}
		from = max(from, wholeFrom(st.blind, rp.longest))
		if standingFields(r).any() {
			// What is published at an hour is used for the events of the next one.
			from = max(from, wholeFrom(st.blind, windows.W7d)+3600+int64(rp.longest))
		}
		for n := range r.Then {
			if r.Then[n].asksTarget() {
				from = max(from, wholeFrom(st.blind, windows.W7d))
			}
		}
	}
	signals := func(cp *condPlan) {
		for _, s := range cp.signals {
			if other := st.judgeRule(s.rule, done); other > 0 {
				from = max(from, other+int64(s.window))
			}
		}
	}
	signals(&rp.when)
	for n := range rp.entries {
		signals(&rp.entries[n].cond)
	}
	st.whole[i] = from
	return from
}

// wholeFrom returns the first tick at which a window does not reach behind
// another one.
func wholeFrom(tick int64, w windows.Window) int64 {
	pane := w.Ring().Pane()
	return -floor(-tick, pane) + int64(w)
}

// incomplete returns from when on what a rule reads will be whole; nothing
// where at a tick it is.
func (st *State) incomplete(rule int, tick int64) time.Time {
	if tick >= st.whole[rule] {
		return time.Time{}
	}
	return time.Unix(st.whole[rule], 0)
}
