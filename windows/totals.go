package windows

import (
	"math"
	"math/bits"
)

// totals are what all counters of one ring add up to in a window of one key, in
// its panes that ended by a time. The counters of a ring share its panes, so one
// walk gives them all, and the rules of a table ask for many of the same window.
type totals struct {
	key    Key
	w      Window
	before int64
	tick   int64
	fold   uint64 // the number of the last Fold then
	of     []uint64
}

// numbers is how many numbers Window.number may give.
const numbers = 17

// number tells the windows apart: no two have lengths of as many bits.
func (w Window) number() int { return bits.Len64(uint64(w)) - 4 }

// Total returns what a Count or Sum series adds up to in the window as of tick.
func (u *Unit) Total(slot uint32, series int, w Window, tick int64) uint64 {
	return u.total(&u.totals[w.number()], slot, series, w, tick, math.MaxInt64)
}

// TotalBefore returns what a Count or Sum series adds up to in the panes of the
// window as of tick that ended by a time: what was there before something
// began.
func (u *Unit) TotalBefore(slot uint32, series int, w Window, tick, before int64) uint64 {
	return u.total(&u.earlier, slot, series, w, tick, before)
}

// total returns a series' part of what a walk finds, or of what the last one left
// in t.
func (u *Unit) total(t *totals, slot uint32, series int, w Window, tick, before int64) uint64 {
	s := u.index.slot(slot)
	at := u.shapes[s.table].places[series][w.Ring()]
	if at.section < 0 {
		return 0
	}
	if t.fold != u.folds || t.key != s.key || t.tick != tick || t.w != w || t.before != before {
		t.key, t.w, t.before, t.tick, t.fold = s.key, w, before, tick, u.folds
		u.addTotals(t, slot, series)
	}
	return t.of[at.column]
}

// addTotals walks the panes of a window and adds up all of their counters.
func (u *Unit) addTotals(t *totals, slot uint32, series int) {
	s := u.index.slot(slot)
	sh := &u.shapes[s.table]
	n := len(sh.sections[sh.places[series][t.w.Ring()].section].columns)
	if n > cap(t.of) {
		t.of = make([]uint64, n)
	}
	t.of = t.of[:n]
	clear(t.of)
	r, ok := u.read(slot, series, t.w, t.tick)
	if !ok {
		return
	}
	ok = r.first()
	for ok && t.before != math.MaxInt64 && r.second()+t.w.Ring().Pane() > t.before {
		ok = r.next(countsEnd(r.p, r.i, r.s.width))
	}
	for ok {
		i := r.i + r.s.width
		for n, c := range r.p[r.i:i] {
			for ; c != 0; c &= c - 1 {
				var v uint64
				v, i = uvarint(r.p, i)
				k := n<<3 | bits.TrailingZeros8(c)
				t.of[k] = addSaturating(t.of[k], v)
			}
		}
		ok = r.next(i)
	}
}
