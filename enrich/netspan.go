package enrich

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"iter"
	"math/bits"
	"net/netip"
	"slices"
)

// wide is an address as a number; IPv4 takes the lowest 32 bits.
type wide struct{ hi, lo uint64 }

func toWide(a netip.Addr) wide {
	if a.Is4() {
		b := a.As4()
		return wide{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (w wide) addr(width int) netip.Addr {
	if width == 32 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(w.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w.hi)
	binary.BigEndian.PutUint64(b[8:], w.lo)
	return netip.AddrFrom16(b)
}

func (w wide) compare(v wide) int {
	return cmp.Or(cmp.Compare(w.hi, v.hi), cmp.Compare(w.lo, v.lo))
}

func (w wide) add(v wide) wide {
	lo, carry := bits.Add64(w.lo, v.lo, 0)
	hi, _ := bits.Add64(w.hi, v.hi, carry)
	return wide{hi, lo}
}

func (w wide) sub(v wide) wide {
	lo, borrow := bits.Sub64(w.lo, v.lo, 0)
	hi, _ := bits.Sub64(w.hi, v.hi, borrow)
	return wide{hi, lo}
}

// low returns the number whose n lowest bits are set.
func low(n int) wide {
	switch {
	case n >= 128:
		return wide{^uint64(0), ^uint64(0)}
	case n >= 64:
		return wide{1<<(n-64) - 1, ^uint64(0)}
	}
	return wide{0, 1<<n - 1}
}

// span is a range of addresses, both ends in it, and whose it is.
type span struct {
	first, last wide
	owner       uint32
}

// prefixes returns the fewest prefixes that cover the span, in order.
func (s span) prefixes(width int) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for first := s.first; ; {
			// The block that begins at first is as large as first is aligned
			// and as the span is long.
			n := min(width, bits.TrailingZeros64(first.lo))
			if first.lo == 0 {
				n = min(width, 64+bits.TrailingZeros64(first.hi))
			}
			rest := s.last.sub(first)
			for low(n).compare(rest) > 0 {
				n--
			}
			if !yield(netip.PrefixFrom(first.addr(width), width-n)) {
				return
			}
			end := first.add(low(n))
			if end == s.last {
				return
			}
			first = end.add(wide{0, 1})
		}
	}
}

// flatten returns spans that overlap nowhere: where some of spans did, the
// narrowest of them holds, of equally narrow ones the earlier. overlaps is how
// many began inside another. It sorts spans by their beginning.
func flatten(spans []span) (flat []span, overlaps int) {
	rank := make([]int32, len(spans)) // the place of each in the order in which they came
	for i := range rank {
		rank[i] = int32(i)
	}
	slices.SortStableFunc(rank, func(a, b int32) int { return spans[a].first.compare(spans[b].first) })
	clash := false
	for i := 1; i < len(rank) && !clash; i++ {
		clash = spans[rank[i]].first.compare(spans[rank[i-1]].last) <= 0
	}
	if !clash {
		return spans, 0
	}
	open := openSpans{spans: spans}
	at := wide{} // everything before it is done
	emit := func(until wide) {
		for open.Len() > 0 {
			top := spans[open.order[0]]
			if top.last.compare(at) < 0 {
				heap.Pop(&open)
				continue
			}
			if at.compare(until) > 0 {
				return
			}
			end := top.last
			if until.compare(end) < 0 {
				end = until
			}
			if n := len(flat); n > 0 && flat[n-1].owner == top.owner && flat[n-1].last.add(wide{0, 1}) == at {
				flat[n-1].last = end
			} else {
				flat = append(flat, span{at, end, top.owner})
			}
			if end == low(128) {
				open.order = open.order[:0]
				return
			}
			at = end.add(wide{0, 1})
		}
	}
	for _, i := range rank {
		s := spans[i]
		if s.first != (wide{}) {
			emit(s.first.sub(wide{0, 1}))
		}
		if open.Len() > 0 {
			overlaps++
		}
		at = s.first
		heap.Push(&open, i)
	}
	emit(low(128))
	return flat, overlaps
}

// openSpans is a heap of the spans that an address lies in, narrowest first.
type openSpans struct {
	spans []span
	order []int32
}

func (o *openSpans) Len() int { return len(o.order) }

func (o *openSpans) Less(i, j int) bool {
	a, b := o.spans[o.order[i]], o.spans[o.order[j]]
	c := a.last.sub(a.first).compare(b.last.sub(b.first))
	return c < 0 || c == 0 && o.order[i] < o.order[j]
}

func (o *openSpans) Swap(i, j int) { o.order[i], o.order[j] = o.order[j], o.order[i] }

func (o *openSpans) Push(x any) { o.order = append(o.order, x.(int32)) }

func (o *openSpans) Pop() any {
	last := o.order[len(o.order)-1]
	o.order = o.order[:len(o.order)-1]
	return last
}
