package windows

import "math/bits"

// TotalBefore returns what a Count or Sum series adds up to in the panes of the
// window as of tick that ended by a time: what was there before something
// began.
func (u *Unit) TotalBefore(slot uint32, series int, w Window, tick, before int64) (total uint64) {
	r, ok := u.read(slot, series, w, tick)
	if !ok {
		return 0
	}
	width, pane := r.s.width, w.Ring().Pane()
	col := int(u.shapes[u.index.slot(slot).table].places[series][w.Ring()].column)
	for ok = r.first(); ok; ok = r.next(countsEnd(r.p, r.i, width)) {
		if r.p[r.i+col>>3]>>(col&7)&1 == 0 || r.second()+pane > before {
			continue
		}
		ahead := 0
		for _, c := range r.p[r.i : r.i+col>>3] {
			ahead += bits.OnesCount8(c)
		}
		ahead += bits.OnesCount8(r.p[r.i+col>>3] & (1<<(col&7) - 1))
		v, _ := uvarint(r.p, skip(r.p, r.i+width, ahead))
		total = addSaturating(total, v)
	}
	return total
}
