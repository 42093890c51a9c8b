package windows

import "encoding/binary"

// An entry of MinMax is the smallest number of the pane and how much larger
// the largest is.

func (u *Unit) appendMinMax(dst []byte, s *section, old []byte, t *Touch) []byte {
	lo, hi := ^uint64(0), uint64(0)
	for i := t.head; i != noRow; i = u.next[i] {
		if r := &u.rows[i]; r.Mask>>(s.bit&63)&1 != 0 {
			if v := u.obs(r, s.obs); v != NoObs {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if lo > hi {
		return dst
	}
	if old != nil {
		oldLo, i := uvarint(old, 0)
		more, _ := uvarint(old, i)
		lo, hi = min(lo, oldLo), max(hi, oldLo+more)
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, lo), hi-lo)
}

// MinMax returns the smallest and the largest number of a series in the window
// as of tick; ok is false where there is none.
func (u *Unit) MinMax(slot uint32, series int, w Window, tick int64) (lo, hi uint64, ok bool) {
	r, has := u.read(slot, series, w, tick)
	if !has {
		return 0, 0, false
	}
	lo = ^uint64(0)
	for more := r.first(); more; {
		v, i := uvarint(r.p, r.i)
		d, end := uvarint(r.p, i)
		lo, hi, ok = min(lo, v), max(hi, v+d), true
		more = r.next(end)
	}
	if !ok {
		lo = 0
	}
	return lo, hi, ok
}
