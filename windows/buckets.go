package windows

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Values of a Buckets series fall into 64 buckets by keyed hash, and each pane
// counts those that are not empty. An entry is how many they are, then where
// they are at most 8 their numbers, ascending, else a bitmap of 8 bytes, then
// the counts. Since different values may share a bucket, a share is never too
// small and an entropy never too large.

const (
	numBuckets  = 64
	fewBuckets  = 8
	bitmapBytes = numBuckets / 8
)

func bucketsEnd(p []byte, i int) int {
	n := int(p[i])
	return skip(p, i+1+min(n, bitmapBytes), n)
}

// addBuckets adds the counts of the entry at i to sum and returns its end.
func addBuckets(sum *[numBuckets]uint64, p []byte, i int) (end int) {
	n := int(p[i])
	i++
	var v uint64
	if n <= fewBuckets {
		names := p[i : i+n]
		i += n
		for _, b := range names {
			v, i = uvarint(p, i)
			sum[b&63] = addSaturating(sum[b&63], v)
		}
		return i
	}
	set := binary.LittleEndian.Uint64(p[i:])
	i += bitmapBytes
	for ; set != 0; set &= set - 1 {
		v, i = uvarint(p, i)
		b := bits.TrailingZeros64(set)
		sum[b] = addSaturating(sum[b], v)
	}
	return i
}

func (u *Unit) appendBuckets(dst []byte, s *section, old []byte, t *Touch) []byte {
	sum := &u.buckets
	*sum = [numBuckets]uint64{}
	seen := false
	for i := t.head; i != noRow; i = u.next[i] {
		if r := &u.rows[i]; r.Mask>>(s.bit&63)&1 != 0 {
			if v := u.obs(r, s.obs); v != NoObs {
				sum[v>>58]++
				seen = true
			}
		}
	}
	if !seen {
		return dst
	}
	if old != nil {
		addBuckets(sum, old, 0)
	}
	var set uint64
	for b, n := range sum {
		if n != 0 {
			set |= 1 << b
		}
	}
	n := bits.OnesCount64(set)
	dst = append(dst, byte(n))
	if n <= fewBuckets {
		for s := set; s != 0; s &= s - 1 {
			dst = append(dst, byte(bits.TrailingZeros64(s)))
		}
	} else {
		dst = binary.LittleEndian.AppendUint64(dst, set)
	}
	for ; set != 0; set &= set - 1 {
		dst = binary.AppendUvarint(dst, sum[bits.TrailingZeros64(set)])
	}
	return dst
}

// readBuckets adds up the buckets of a window.
func (u *Unit) readBuckets(slot uint32, series int, w Window, tick int64) (total uint64) {
	u.buckets = [numBuckets]uint64{}
	r, ok := u.read(slot, series, w, tick)
	if !ok {
		return 0
	}
	for more := r.first(); more; {
		more = r.next(addBuckets(&u.buckets, r.p, r.i))
	}
	for _, n := range u.buckets {
		total = addSaturating(total, n)
	}
	return total
}

// Top returns the share of the commonest value of a series in the window as of
// tick; ok is false where there is none. Values are told apart by 64 buckets,
// so the share is at least the exact one: too large by 1/64 of all the others
// on average, and of many different values never below 1/64.
func (u *Unit) Top(slot uint32, series int, w Window, tick int64) (share float64, ok bool) {
	total := u.readBuckets(slot, series, w, tick)
	if total == 0 {
		return 0, false
	}
	var top uint64
	for _, n := range u.buckets {
		top = max(top, n)
	}
	return float64(top) / float64(total), true
}

// Entropy returns the Shannon entropy in bits of the values of a series in the
// window as of tick; ok is false where there is none. Values are told apart by
// 64 buckets, so it is at most the exact one: of n different values too small
// by about n/64 bits on average while n is at most 20, and never above 6.
func (u *Unit) Entropy(slot uint32, series int, w Window, tick int64) (bits float64, ok bool) {
	total := u.readBuckets(slot, series, w, tick)
	if total == 0 {
		return 0, false
	}
	for _, n := range u.buckets {
		if n != 0 {
			p := float64(n) / float64(total)
			bits -= float64(p * math.Log2(p))
		}
	}
	return max(0, bits), true
}
