package windows

import (
	"encoding/binary"
	"slices"
)

// Distinct keeps the latest-seen values as pairs of a 48-bit keyed hash and
// the second in which it was last seen, exactly, and a sketch of all of them
// as long as they are more than fit:
//
//	n        how many pairs, 1 byte
//	newest   uvarint, seconds after base, and 6 bytes of hash
//	then, of each older pair, a uvarint gap (>= 0) and 6 bytes of hash
//	sketch   where n is maxPairs
//
// Pairs are ordered by second, the latest first, ties by hash. One more than
// the exact limit is kept, so that a window of exactly 96 is told from one of
// more. The sketch is there if and only if maxPairs pairs are within
// retention: with fewer, all of them are in the list. So what is kept is a
// function of the set of observations, whatever was there before.

const (
	exactPairs = 96
	maxPairs   = exactPairs + 1
	hashBytes  = 6
)

type pair struct {
	hash uint64
	last uint32 // seconds after base
}

// observed returns the hashes that the rows of a touch bring, ascending.
func (u *Unit) observed(s *section, t *Touch) []uint64 {
	hs := u.hashes[:0]
	for i := t.head; i != noRow; i = u.next[i] {
		if r := &u.rows[i]; r.Mask>>(s.bit&63)&1 != 0 {
			if v := u.obs(r, s.obs); v != NoObs {
				hs = append(hs, v>>(64-8*hashBytes))
			}
		}
	}
	if len(hs) > 1 {
		slices.Sort(hs)
	}
	u.hashes = hs
	return slices.Compact(hs)
}

func readHash(p []byte, i int) uint64 {
	return uint64(binary.LittleEndian.Uint32(p[i:])) | uint64(binary.LittleEndian.Uint16(p[i+4:]))<<32
}

func appendHash(dst []byte, h uint64) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(dst, uint32(h)), uint16(h>>32))
}

// appendPairs decodes a list as far as its pairs were seen at oldest or later.
// It also returns where the list ends.
func appendPairs(dst []pair, p []byte, oldest uint32) (pairs []pair, end int) {
	n := int(p[0])
	v, i := uvarint(p, 1)
	last := uint32(v)
	for k := 0; ; {
		if last >= oldest {
			dst = append(dst, pair{readHash(p, i), last})
		}
		i += hashBytes
		if k++; k == n {
			return dst, i
		}
		v, i = uvarint(p, i)
		last -= uint32(v)
	}
}

// encodePairs appends a list of pairs in their order.
func encodePairs(dst []byte, pairs []pair) []byte {
	dst = append(dst, byte(len(pairs)))
	dst = binary.AppendUvarint(dst, uint64(pairs[0].last))
	for i, p := range pairs {
		if i > 0 {
			dst = binary.AppendUvarint(dst, uint64(pairs[i-1].last-p.last))
		}
		dst = appendHash(dst, p.hash)
	}
	return dst
}

// mergePairs puts what was seen now (hs, ascending) before the older pairs,
// each hash once, and returns how many there are before they are cut to maxPairs.
func mergePairs(dst, old []pair, hs []uint64, now uint32) (merged []pair, all int) {
	i, same := 0, 0
	for same < len(old) && old[same].last == now {
		same++
	}
	put := func(p pair) {
		if all++; len(dst) < maxPairs {
			dst = append(dst, p)
		}
	}
	for _, h := range hs { // both ascending
		for ; i < same && old[i].hash < h; i++ {
			put(old[i])
		}
		if i < same && old[i].hash == h {
			i++
		}
		put(pair{h, now})
	}
	for ; i < same; i++ {
		put(old[i])
	}
	for _, p := range old[same:] {
		if !seen(hs, p.hash) {
			put(p)
		}
	}
	return dst, all
}

func seen(hs []uint64, h uint64) bool {
	if len(hs) <= 8 {
		return slices.Contains(hs, h)
	}
	_, ok := slices.BinarySearch(hs, h)
	return ok
}

// foldDistinct folds a touch into section id, which is at or would be there,
// and returns how many bytes it takes up now.
func (u *Unit) foldDistinct(e *edit, at, id int, s *section, base uint32, t *Touch) int {
	hs := u.observed(s, t)
	n, present := sectionLen(e.b, at, id)
	if len(hs) == 0 {
		if present {
			n += sectionHeader
		}
		return n
	}
	if !present && len(hs) == 1 {
		return u.firstPair(e, at, id, u.now-base, hs[0])
	}
	if present && len(hs) <= fewPairs {
		if size, ok := u.foldFew(e, at, n, s, base, hs); ok {
			return size
		}
	}
	return u.foldAny(e, at, id, s, base, hs)
}

// foldAny folds whatever values, ascending, into whatever is there.
func (u *Unit) foldAny(e *edit, at, id int, s *section, base uint32, hs []uint64) int {
	n, present := sectionLen(e.b, at, id)
	now := u.now - base
	oldest := s.oldest(u.now + 1)
	old, end := u.old[:0], 0
	if present {
		p := e.b[at+sectionHeader : at+sectionHeader+n]
		old, end = appendPairs(old, p, max(oldest, base)-base)
	}
	merged, all := mergePairs(u.merged[:0], old, hs, now)
	u.old, u.merged = old, merged
	sketched := len(old) == maxPairs

	tmp := encodePairs(append(u.tmp[:0], byte(id), 0, 0), merged)
	if all >= maxPairs && !sketched {
		tmp = appendEmptySketch(tmp, oldest/s.pane)
	}
	u.tmp = tmp
	replaced := end // what follows the list is the sketch, kept if it is still needed
	if !sketched {
		replaced = n
	}
	if present {
		replaced += sectionHeader
	}
	if !e.splice(at, replaced, tmp) {
		u.counters.Full++
		if present {
			n += sectionHeader
		}
		return n
	}
	size := len(tmp)
	if sketched {
		size += n - end
	}
	if all >= maxPairs {
		k := sketchIn(e, at, size, s)
		if !sketched {
			for _, p := range slices.Backward(old) { // the oldest first
				k.insert(p.hash, p.last+base)
			}
		} else {
			u.purge(&k, s, old[0].last+base)
		}
		for _, h := range hs {
			k.insert(h, u.now)
		}
		u.sketched(&k, id)
		size = k.at + k.size - at
	}
	e.resize(at, size-sectionHeader)
	return size
}

// listEnd returns where the list at the beginning of a payload ends.
func listEnd(p []byte) int {
	i := 1
	for range p[0] {
		i = skip(p, i, 1) + hashBytes
	}
	return i
}

// Distinct returns how many different values a series had in the window as of
// tick: exactly up to 96, beyond that an estimate with an rms error of 5.3 %.
func (u *Unit) Distinct(slot uint32, series int, w Window, tick int64) float64 {
	s := u.index.slot(slot)
	sh := &u.shapes[s.table]
	id := sh.places[series][w.Ring()].section
	if id < 0 || s.size == 0 {
		return 0
	}
	b := u.blob(s)
	p := sh.payload(b, int(id))
	if p == nil {
		return 0
	}
	base := binary.LittleEndian.Uint32(b)
	start := uint32(max(0, w.Start(tick)))
	quantum := start / sh.sections[id].pane
	n := int(p[0])
	if n == maxPairs { // where all of them were in the window, later ones are too
		if v, ok := u.estimates.find(s.key, int(id), quantum); ok {
			return v
		}
	}
	last, i := uvarint(p, 1)
	for k := range n {
		if uint32(last)+base < start {
			return float64(k)
		}
		i += hashBytes
		if k < n-1 {
			var gap uint64
			gap, i = uvarint(p, i)
			last -= gap
		}
	}
	if n < maxPairs {
		return float64(n)
	}
	v := max(maxPairs, estimate(p[i:], quantum))
	u.keepEstimate(s.key, int(id), quantum, v)
	return v
}
