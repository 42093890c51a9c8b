package windows

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// step converts the blobs of a table from one layout to the next. Whatever no
// window of the old one reads as of the tick at which it ended goes, so that a
// longer window sees the same of every key, whenever it was purged last.
type step struct {
	from, to *shape
	tick     uint32
	sources  []source // of each section of to
}

// source is where a section comes from.
type source struct {
	section int     // of the old layout; -1: it begins empty
	columns []int16 // of counters: the old column of each column, or -1
}

// newStep returns the step between a table's shapes; nil where blobs stay as
// they are.
func newStep(was *Table, from *shape, now *Table, to *shape, tick int64) *step {
	s := &step{from: from, to: to, tick: uint32(min(max(0, tick), 1<<32-1)), sources: make([]source, len(to.sections))}
	for i := range to.sections {
		s.sources[i] = source{section: -1, columns: slices.Repeat([]int16{-1}, len(to.sections[i].columns))}
	}
	for i := range now.Series {
		k := slices.IndexFunc(was.Series, func(o Series) bool { return o.Name == now.Series[i].Name && o.Kind == now.Series[i].Kind })
		if k < 0 {
			continue
		}
		for r, p := range to.places[i] {
			old := from.places[k][r]
			if p.section < 0 || old.section < 0 {
				continue
			}
			src := &s.sources[p.section]
			src.section = int(old.section)
			if to.sections[p.section].kind == Count {
				src.columns[p.column] = old.column
			}
		}
	}
	if s.idle() {
		return nil
	}
	return s
}

// idle reports whether the step changes nothing.
func (s *step) idle() bool {
	if len(s.from.sections) != len(s.to.sections) {
		return false
	}
	for i, src := range s.sources {
		if src.section != i {
			return false
		}
		from, to := &s.from.sections[i], &s.to.sections[i]
		if from.longest != to.longest || from.pane != to.pane || !inPlace(src.columns, from) {
			return false
		}
	}
	return true
}

// inPlace reports whether the columns are those of a section, in their order.
func inPlace(columns []int16, from *section) bool {
	for c, old := range columns {
		if int(old) != c {
			return false
		}
	}
	return len(columns) == len(from.columns)
}

// append appends the converted blob, which must be well formed; cut tells that
// it would have become too large.
func (s *step) append(dst, blob []byte) (out []byte, cut bool) {
	start := len(dst)
	base := binary.LittleEndian.Uint32(blob)
	dst = append(dst, blob[:s.from.header(blob)]...)
	var counters [NumRings]counterList
	n := 0
	for id := range s.sources {
		src := &s.sources[id]
		if src.section < 0 {
			continue
		}
		p := s.from.payload(blob, src.section)
		if p == nil {
			continue
		}
		from, to := &s.from.sections[src.section], &s.to.sections[id]
		at := len(dst)
		dst = append(dst, byte(id), 0, 0)
		live := from.cut(from.oldest(s.tick), base)
		switch from.kind {
		case Count:
			dst = appendColumns(dst, p, from, to, src.columns, live)
			counters[n] = counterList{at: at, size: len(dst) - at - sectionHeader, s: to}
		case Distinct:
			dst = appendSeen(dst, p, from, to, base, s.tick)
		default:
			dst = append(dst, p[:from.live(p, live)]...)
		}
		size := len(dst) - at - sectionHeader
		switch {
		case size == 0:
			dst = dst[:at]
		case from.kind == Count: // which may be too long still
			n++
		default:
			binary.LittleEndian.PutUint16(dst[at+1:], uint16(size))
		}
	}
	return fit(dst, start, counters[:n])
}

// appendColumns appends a list of panes of counters, from the pane live on, as
// far as columns have a place in the new section.
func appendColumns(dst, p []byte, from, to *section, columns []int16, live int64) []byte {
	if inPlace(columns, from) {
		return append(dst, p[:from.live(p, live)]...)
	}
	var room [maxColumns]uint64
	rel, i := uvarint(p, 0)
	last, first := rel, true
	for int64(rel) >= live {
		values, end := readColumns(room[:len(from.columns)], p, i, from.width)
		at := len(dst)
		if first {
			dst = binary.AppendUvarint(dst, rel)
		} else {
			dst = binary.AppendUvarint(dst, last-rel)
		}
		bitmap := len(dst)
		dst = append(dst, noCounters[:to.width]...)
		empty := true
		for c, old := range columns {
			if old >= 0 && values[old] != 0 {
				dst[bitmap+c>>3] |= 1 << (c & 7)
				dst = binary.AppendUvarint(dst, values[old])
				empty = false
			}
		}
		if empty {
			dst = dst[:at]
		} else {
			last, first = rel, false
		}
		if end == len(p) {
			break
		}
		var gap uint64
		gap, i = uvarint(p, end)
		rel -= gap
	}
	return dst
}

// readColumns sets values to the counters of the entry at i and returns where
// it ends.
func readColumns(values []uint64, p []byte, i, width int) (all []uint64, end int) {
	clear(values)
	set := p[i : i+width]
	i += width
	for k, b := range set {
		for ; b != 0; b &= b - 1 {
			values[8*k+bits.TrailingZeros8(b)], i = uvarint(p, i)
		}
	}
	return values, i
}

// counterList is a list of panes of counters in a blob that is being made.
// Only these grow in a conversion: a section with more columns has a wider
// bitmap in every pane.
type counterList struct {
	at, size int // of the section, and of its payload
	s        *section
}

// fit notes the lengths of the counters of the blob that begins at start. As
// long as it is too large the largest of them loses its oldest panes.
func fit(dst []byte, start int, lists []counterList) (out []byte, cut bool) {
	for over := len(dst) - start - maxBlob; over > 0; over = len(dst) - start - maxBlob {
		cut = true
		largest := 0
		for i := range lists {
			if lists[i].size > lists[largest].size {
				largest = i
			}
		}
		l := &lists[largest]
		from := l.at + sectionHeader
		keep := l.s.whole(dst[from:from+l.size], max(0, l.size-over))
		gone := l.size - keep
		if keep == 0 {
			from, gone = l.at, gone+sectionHeader
		}
		dst = slices.Delete(dst, from+keep, from+keep+gone)
		l.size = keep
		for i := largest + 1; i < len(lists); i++ {
			lists[i].at -= gone
		}
	}
	for _, l := range lists {
		if l.size > 0 {
			binary.LittleEndian.PutUint16(dst[l.at+1:], uint16(l.size))
		}
	}
	return dst, cut
}

// whole returns how long the list is with only as many panes as room allows.
func (s *section) whole(p []byte, room int) (end int) {
	_, i := uvarint(p, 0)
	for next := s.entryEnd(p, i); next <= room; next = s.entryEnd(p, i) {
		end = next
		if end == len(p) {
			break
		}
		_, i = uvarint(p, end)
	}
	return end
}
