package windows

import "encoding/binary"

// An entry of Span is the first second of a pane that had rows, counted from
// the pane's start, and how much later the last is.

func appendSpan(dst []byte, s *section, old []byte, now uint32) []byte {
	at := uint64(now % s.pane)
	first := at
	if old != nil {
		first, _ = uvarint(old, 0)
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, first), at-first)
}

// Span returns the first and the last second of event time that had rows of a
// series in the window as of tick; ok is false where there is none.
func (u *Unit) Span(slot uint32, series int, w Window, tick int64) (first, last int64, ok bool) {
	r, has := u.read(slot, series, w, tick)
	if !has {
		return 0, 0, false
	}
	for more := r.first(); more; {
		from, i := uvarint(r.p, r.i)
		span, end := uvarint(r.p, i)
		first = r.second() + int64(from)
		if !ok {
			last, ok = first+int64(span), true
		}
		more = r.next(end)
	}
	return first, last, ok
}
