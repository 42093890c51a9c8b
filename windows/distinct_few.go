package windows

import (
	"encoding/binary"
	"slices"
)

// fewPairs is how many values at once are moved to the front of a list without
// decoding it.
const fewPairs = 8

// foldFew is foldDistinct for the common touch: a few values, and nothing of the
// list expired or to be sketched anew. It copies the list around them. Where
// that is not all there is to do it reports false and changes nothing.
func (u *Unit) foldFew(e *edit, at, n int, s *section, base uint32, hs []uint64) (size int, ok bool) {
	start := at + sectionHeader
	p := e.b[start : start+n]
	count := int(p[0])
	now := u.now - base
	oldest := max(s.oldest(u.now+1), base) - base
	newest, i := uvarint(p, 1)
	if uint32(newest) >= now {
		return 0, false
	}

	out := appendHash(binary.AppendUvarint(append(u.tmp[:0], 0), uint64(now)), hs[0])
	among := uint64(1) << (hs[0] & 63) // what the hashes end with
	for _, h := range hs[1:] {
		out = appendHash(append(out, 0), h)
		among |= 1 << (h & 63)
	}
	kept, previous := len(hs), uint64(now)
	last, run := newest, -1   // where what is copied begins
	surely := count - len(hs) // so many fit, whatever the hashes are
	for k := 0; k < count; k++ {
		if run >= 0 { // pairs that stay as they are, mostly of seven bytes
			pairs, gaps := others(p[i:], surely-k, among)
			i += pairs * (1 + hashBytes)
			k += pairs
			kept += pairs
			last -= gaps
			previous = last
		}
		begin := i
		if k > 0 {
			var gap uint64
			gap, i = uvarint(p, i)
			last -= gap
		}
		h := readHash(p, i)
		i += hashBytes
		if kept == maxPairs || among>>(h&63)&1 != 0 && slices.Contains(hs, h) {
			if run >= 0 {
				out = append(out, p[run:begin]...)
				run = -1
			}
			continue
		}
		if run < 0 {
			out = binary.AppendUvarint(out, previous-last)
			run = i - hashBytes
		}
		kept++
		previous = last
	}
	u.tmp = out
	if last < uint64(oldest) || count < maxPairs && kept == maxPairs {
		return 0, false
	}
	if run >= 0 {
		out = append(out, p[run:i]...)
	}
	out[0] = byte(kept)
	u.tmp = out
	if !e.splice(start, i, out) {
		return 0, false
	}
	n += len(out) - i
	if count == maxPairs {
		k := sketchAt(e, start+len(out), n-len(out), s)
		u.purge(&k, s, uint32(newest)+base)
		for _, h := range hs {
			k.insert(h, u.now)
		}
		u.sketched(&k, int(e.b[at]))
		n = len(out) + k.size
	}
	e.resize(at, n)
	return sectionHeader + n, true
}

// others returns how many pairs at the beginning of p, at most so many, are certainly
// of other hashes than those that end as among says and have a gap of one byte, and
// their gaps together. It is most of the work, and by itself it has all that it needs
// in registers.
//
//go:noinline
func others(p []byte, most int, among uint64) (pairs int, gaps uint64) {
	for len(p) >= 8 && pairs < most {
		v := binary.LittleEndian.Uint64(p)
		if v&0x80 != 0 || among>>(v>>8&63)&1 != 0 {
			break
		}
		gaps += v & 0x7f
		p = p[1+hashBytes:]
		pairs++
	}
	return pairs, gaps
}

// firstPair begins a section with its only value.
func (u *Unit) firstPair(e *edit, at, id int, now uint32, hash uint64) (size int) {
	tmp := appendHash(binary.AppendUvarint(append(u.tmp[:0], byte(id), 0, 0, 1), uint64(now)), hash)
	u.tmp = tmp
	if !e.splice(at, 0, tmp) {
		u.counters.Full++
		return 0
	}
	e.resize(at, len(tmp)-sectionHeader)
	return len(tmp)
}
