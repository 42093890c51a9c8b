package rules

import (
	"cmp"
	"slices"

	"weir/event"
	"weir/windows"
)

// onState says that a rule is on for a key, and what it saw when it last was
// true. It belongs to the key's unit until the next boundary shows it to all.
type onState struct {
	rule    int
	key     windows.Key
	values  event.Target
	raw     [][]byte
	until   int64  // it is on at the ticks before
	entries uint16 // the ladder entries about members that the walk noted

	features []float64
	spans    []event.Span
}

type onKey struct {
	rule int
	key  uint64 // Key.Lo
}

// board shows the on-states of rules that other keys look at. It changes only
// at boundaries, when no unit runs, and is read by all of them in between.
type board struct {
	on    map[onKey]*onState
	bytes int64 // that they hold
	limit int   // how many are shown at once; beyond it new ones are shed and counted
	shed  int64
	keep  []int64 // per rule, how long an ended on-state is still asked for
	// changes is told before what is shown in place of was changes; either may be nil.
	changes func(was, is *onState)
}

func newBoard(p *Plan, limit int) *board {
	b := &board{on: map[onKey]*onState{}, limit: limit, keep: make([]int64, len(p.Rules))}
	note := func(cp *condPlan) {
		for _, s := range cp.signals {
			b.keep[s.rule] = max(b.keep[s.rule], int64(s.window))
		}
	}
	for i := range p.rules {
		note(&p.rules[i].when)
		for n := range p.rules[i].entries {
			note(&p.rules[i].entries[n].cond)
		}
	}
	return b
}

// until returns the tick at which the last on-state that is visible ends or
// ended; far in the past where there is none.
func (b *board) until(rule int, key uint64) int64 {
	if s := b.on[onKey{rule, key}]; s != nil {
		return s.until
	}
	return -1 << 62
}

// visible returns the on-state in which the rule is on for the key at a tick.
func (b *board) visible(rule int, key uint64, tick int64) *onState {
	if s := b.on[onKey{rule, key}]; s != nil && s.until > tick {
		return s
	}
	return nil
}

// show makes on-states visible and returns those that were not visible before,
// or not with the same entries, ordered by rule and key.
func (b *board) show(raised []*onState, boundary int64) (fresh []*onState) {
	for k, s := range b.on {
		if s.until+b.keep[k.rule] <= boundary {
			b.changes(s, nil)
			b.bytes -= s.size()
			delete(b.on, k)
		}
	}
	slices.SortFunc(raised, func(x, y *onState) int {
		return cmp.Or(cmp.Compare(x.rule, y.rule), compareTargets(x.values, y.values))
	})
	for _, s := range raised {
		k := onKey{s.rule, s.key.Lo}
		was := b.on[k]
		if was == nil && full(len(b.on), b.bytes, b.limit) {
			b.shed++
			continue
		}
		b.changes(was, s)
		b.put(k, s)
		if s.entries != 0 && (was == nil || was.until <= boundary || was.entries != s.entries) {
			fresh = append(fresh, s)
		}
	}
	return fresh
}

// put shows an on-state in place of an earlier one.
func (b *board) put(k onKey, s *onState) {
	if was := b.on[k]; was != nil {
		b.bytes -= was.size()
	}
	b.on[k], b.bytes = s, b.bytes+s.size()
}

func compareTargets(a, b event.Target) int {
	return slices.CompareFunc(a, b, func(x, y event.Value) int {
		return cmp.Or(cmp.Compare(x.Field, y.Field), cmp.Compare(x.Text, y.Text))
	})
}
