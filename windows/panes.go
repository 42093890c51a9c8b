package windows

import "encoding/binary"

// A list of panes is the payload of every section but Distinct's, the newest
// first, so that what changes is at the front and a reader stops early:
//
//	newest  uvarint, its number less the number of the pane of base
//	entry   as the kind encodes it
//	then, of each older pane that is not empty, a uvarint gap (>= 1) and its entry

// purgeEvery is how many panes apart expired ones are dropped: a list is then
// at most that much longer than it must be and seldom walked whole.
const purgeEvery = 8

// relative returns the number of second's pane, counted from base's.
func (s *section) relative(second, base uint32) uint64 { return uint64(second/s.pane - base/s.pane) }

// entryEnd returns where the entry that begins at i ends.
func (s *section) entryEnd(p []byte, i int) int {
	switch s.kind {
	case Count:
		return countsEnd(p, i, s.width)
	case Buckets:
		return bucketsEnd(p, i)
	case Active:
		return skip(p, i, 4)
	}
	return skip(p, i, 2) // MinMax, Span
}

// entry appends the newest pane's entry: old (nil: none yet) with what the
// rows of a touch add. It appends nothing where they add nothing.
func (u *Unit) entry(dst []byte, s *section, old []byte, t *Touch) []byte {
	switch s.kind {
	case Count:
		return u.appendCounts(dst, s, old)
	case MinMax:
		return u.appendMinMax(dst, s, old, t)
	case Buckets:
		return u.appendBuckets(dst, s, old, t)
	case Active:
		return appendActive(dst, s, old, u.now)
	}
	return appendSpan(dst, s, old, u.now)
}

// foldPanes folds a touch into section id, which is at or would be there, and
// returns how many bytes it takes up now.
func (u *Unit) foldPanes(e *edit, at, id int, s *section, base uint32, t *Touch) int {
	rel := s.relative(u.now, base)
	n, present := sectionLen(e.b, at, id)
	if !present {
		tmp := binary.AppendUvarint(append(u.tmp[:0], byte(id), 0, 0), rel)
		head := len(tmp)
		tmp = u.entry(tmp, s, nil, t)
		u.tmp = tmp
		if len(tmp) == head {
			return 0
		}
		binary.LittleEndian.PutUint16(tmp[1:], uint16(len(tmp)-sectionHeader))
		if !e.splice(at, 0, tmp) {
			u.counters.Full++
			return 0
		}
		return len(tmp)
	}
	p := e.b[at+sectionHeader : at+sectionHeader+n]
	newest, k := uvarint(p, 0)
	if newest == rel {
		end := s.entryEnd(p, k)
		tmp := u.entry(u.tmp[:0], s, p[k:end], t)
		u.tmp = tmp
		if len(tmp) > 0 {
			if e.splice(at+sectionHeader+k, end-k, tmp) {
				n += len(tmp) - (end - k)
				e.resize(at, n)
			} else {
				u.counters.Full++
			}
		}
		return sectionHeader + n
	}
	tmp := binary.AppendUvarint(u.tmp[:0], rel)
	head := len(tmp)
	tmp = u.entry(tmp, s, nil, t)
	u.tmp = tmp
	if len(tmp) == head {
		return sectionHeader + n
	}
	tmp = binary.AppendUvarint(tmp, rel-newest)
	u.tmp = tmp
	if !e.splice(at+sectionHeader, k, tmp) {
		u.counters.Full++
		return sectionHeader + n
	}
	n += len(tmp) - k
	if rel/purgeEvery != newest/purgeEvery {
		if keep := s.live(e.b[at+sectionHeader:at+sectionHeader+n], s.cut(s.oldest(u.now+1), base)); keep < n {
			e.splice(at+sectionHeader+keep, n-keep, nil)
			n = keep
		}
	}
	e.resize(at, n)
	return sectionHeader + n
}

// cut returns the number, counted from base's pane, of the first pane of a
// window that starts at start.
func (s *section) cut(start, base uint32) int64 { return int64(start/s.pane) - int64(base/s.pane) }

// live returns how long the list is without the panes before cut.
func (s *section) live(p []byte, cut int64) int {
	if cut <= 0 {
		return len(p)
	}
	rel, i := uvarint(p, 0)
	for end := 0; ; {
		if int64(rel) < cut {
			return end
		}
		end = s.entryEnd(p, i)
		if end == len(p) {
			return end
		}
		var gap uint64
		gap, i = uvarint(p, end)
		rel -= gap
	}
}

// reader walks the panes of a window, the newest first.
type reader struct {
	p    []byte
	rel  uint64
	cut  int64
	i    int // where the entry of pane rel begins
	base uint32
	s    *section
}

// read finds what a series keeps for a window; ok is false where there is none.
func (u *Unit) read(slot uint32, series int, w Window, tick int64) (r reader, ok bool) {
	s := u.index.slot(slot)
	sh := &u.shapes[s.table]
	at := sh.places[series][w.Ring()].section
	if at < 0 || s.size == 0 {
		return r, false
	}
	b := u.blob(s)
	p := sh.payload(b, int(at))
	if p == nil {
		return r, false
	}
	r.p, r.s, r.base = p, &sh.sections[at], binary.LittleEndian.Uint32(b)
	r.cut = r.s.cut(uint32(max(0, w.Start(tick))), r.base)
	return r, true
}

// first goes to the newest pane; ok is false where it is not in the window.
func (r *reader) first() bool {
	r.rel, r.i = uvarint(r.p, 0)
	return int64(r.rel) >= r.cut
}

// next goes on to an older pane, where end is the end of the current entry.
func (r *reader) next(end int) bool {
	if end == len(r.p) {
		return false
	}
	var gap uint64
	gap, r.i = uvarint(r.p, end)
	r.rel -= gap
	return int64(r.rel) >= r.cut
}

// second returns the first second of the current pane.
func (r *reader) second() int64 {
	return (int64(r.rel) + int64(r.base/r.s.pane)) * int64(r.s.pane)
}
