package windows

import "encoding/binary"

// foldOne is foldDistinct for the common touch: one value, and nothing of the
// list expired or to be sketched anew. It moves the value to the front of the
// list in place. Where that is not all there is to do it reports false and
// changes nothing.
func (u *Unit) foldOne(e *edit, at, n int, s *section, base uint32, hash uint64) (size int, ok bool) {
	start := at + sectionHeader
	p := e.b[start : start+n]
	count := int(p[0])
	newest, first := uvarint(p, 1)
	now := uint64(u.now - base)
	if newest >= now || len(e.b)+2*binary.MaxVarintLen64 > e.limit {
		return 0, false
	}
	oldest := uint64(max(s.oldest(u.now+1), base) - base)

	// Where the pair of hash begins and ends, with the gap before it.
	from, to, gap := -1, 0, uint64(0)
	last, begin, i := newest, first, first
	var g uint64
	for k := range count {
		if k > 0 {
			begin = i
			g, i = uvarint(p, i)
			last -= g
		}
		if from < 0 && readHash(p, i) == hash {
			from, to, gap = begin, i+hashBytes, g
		}
		i += hashBytes
	}
	if last < oldest || from < 0 && count == exactPairs {
		return 0, false
	}
	head := append(u.tmp[:0], byte(count))
	if from == first { // it is in front already
		head = appendHash(binary.AppendUvarint(head, now), hash)
		if count > 1 {
			g, to = uvarint(p, to)
			head = binary.AppendUvarint(head, g+now-newest)
		}
		u.tmp = head
		e.splice(start, to, head)
		n += len(head) - to
		return u.resketch(e, at, n, count, s, hash, uint32(newest)+base), true
	}
	switch {
	case from >= 0 && to == i: // it is the last
		e.splice(start+from, to-from, nil)
		n -= to - from
	case from >= 0:
		g, to = uvarint(p, to)
		var merged [binary.MaxVarintLen64]byte
		k := binary.PutUvarint(merged[:], gap+g)
		e.splice(start+from, to-from, merged[:k])
		n += k - (to - from)
	case count == maxPairs: // the last gives way
		e.splice(start+begin, i-begin, nil)
		n -= i - begin
	default:
		head[0]++
	}
	head = appendHash(binary.AppendUvarint(head, now), hash)
	head = binary.AppendUvarint(head, now-newest)
	u.tmp = head
	e.splice(start, first, head)
	n += len(head) - first
	return u.resketch(e, at, n, count, s, hash, uint32(newest)+base), true
}

// resketch notes the length of a section whose list was changed in place, and
// where it has a sketch, the hash there.
func (u *Unit) resketch(e *edit, at, n, count int, s *section, hash uint64, previous uint32) (size int) {
	if count == maxPairs {
		k := sketchIn(e, at, sectionHeader+n, s)
		u.purge(&k, s, previous)
		k.insert(hash, u.now)
		u.sketched(&k, int(e.b[at]))
		n = k.at + k.size - at - sectionHeader
	}
	e.resize(at, n)
	return sectionHeader + n
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
