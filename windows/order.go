package windows

import (
	"math/bits"
	"slices"
)

// order sorts the touches by key. Keys are hashes, so they are spread evenly
// and fall almost one by one into as many buckets as there are touches; what
// shares a bucket is sorted by comparing.
func (u *Unit) order() {
	ts := u.touches
	if len(ts) < 32 {
		slices.SortFunc(ts, compareTouches)
		return
	}
	lo, hi := ts[0].Key.Hi, ts[0].Key.Hi
	for i := range ts {
		lo, hi = min(lo, ts[i].Key.Hi), max(hi, ts[i].Key.Hi)
	}
	shift := max(0, bits.Len64(hi-lo)-bits.Len(uint(len(ts)))) & 63
	buckets := int((hi-lo)>>shift) + 1
	ends := slices.Grow(u.ends[:0], buckets+1)[:buckets+1]
	clear(ends)
	for i := range ts {
		ends[(ts[i].Key.Hi-lo)>>shift+1]++
	}
	for i := 1; i <= buckets; i++ {
		ends[i] += ends[i-1]
	}
	sorted := slices.Grow(u.sortedTouches[:0], len(ts))[:len(ts)]
	for i := range ts {
		at := &ends[(ts[i].Key.Hi-lo)>>shift] // where the bucket begins, at last where it ends
		sorted[*at] = ts[i]
		*at++
	}
	begin := uint32(0)
	for _, end := range ends[:buckets] {
		if end-begin > 1 {
			slices.SortFunc(sorted[begin:end], compareTouches)
		}
		begin = end
	}
	u.touches, u.sortedTouches, u.ends = sorted, ts, ends
}

func compareTouches(a, b Touch) int { return compareKeys(a.Key, b.Key) }
