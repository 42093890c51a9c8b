package windows

import (
	"encoding/binary"
	"math"
)

// An entry of Active tells of the seconds of a pane that had rows: how many,
// the first (counted from the pane's start), how much later the last, and the
// sum of the squares of the gaps between them. Panes are merged when they are
// read; everything kept is an integer.

func appendActive(dst []byte, s *section, old []byte, now uint32) []byte {
	at := uint64(now % s.pane)
	n, first, span, squares := uint64(1), at, uint64(0), uint64(0)
	if old != nil {
		var i int
		n, i = uvarint(old, 0)
		first, i = uvarint(old, i)
		span, i = uvarint(old, i)
		squares, _ = uvarint(old, i)
		if gap := at - first - span; gap > 0 {
			n, span, squares = n+1, at-first, squares+gap*gap
		}
	}
	dst = binary.AppendUvarint(dst, n)
	dst = binary.AppendUvarint(dst, first)
	dst = binary.AppendUvarint(dst, span)
	return binary.AppendUvarint(dst, squares)
}

// Cadence returns the coefficient of variation of the gaps between the
// consecutive active seconds of a series in the window as of tick: their
// standard deviation over their mean, near 0 for a machine. It is not ok below
// three active seconds, that is two gaps.
func (u *Unit) Cadence(slot uint32, series int, w Window, tick int64) (cv float64, ok bool) {
	r, has := u.read(slot, series, w, tick)
	if !has {
		return 0, false
	}
	var n, squares uint64
	var first, last int64
	for more := r.first(); more; {
		k, i := uvarint(r.p, r.i)
		from, i := uvarint(r.p, i)
		span, i := uvarint(r.p, i)
		sq, end := uvarint(r.p, i)
		begin := r.second() + int64(from)
		if n == 0 {
			last = begin + int64(span)
		} else {
			gap := uint64(first - begin - int64(span))
			squares += gap * gap
		}
		n, squares, first = n+k, squares+sq, begin
		more = r.next(end)
	}
	if n < 3 {
		return 0, false
	}
	gaps := float64(n - 1)
	mean := float64(last-first) / gaps
	variance := float64(squares)/gaps - float64(mean*mean)
	return math.Sqrt(max(0, variance)) / mean, true
}
