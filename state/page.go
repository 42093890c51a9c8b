package state

import (
	"slices"
	"unsafe"
)

const (
	// pageBytes is what a page holds on average once a table has more than one: at
	// most some 215 keys, of whose fingerprints one in 300 is another key's too. Who
	// reads a key reads its page; larger ones are merged at fewer places, but each
	// key that is not in memory costs more.
	pageBytes = 4 << 10
	// maxDeltas is how many records may stand behind a page's base. A merge writes
	// the whole page for the sake of those keys that changed since the last one:
	// with fewer, a page of 40 keys of which one changes at each checkpoint would
	// cost more than four times what changed.
	maxDeltas = 32
	// partBytes is where an entry of many changes is parted.
	partBytes = 64 << 10
)

// page is what is known of a page without reading it. It is never changed once
// it is in a view.
type page struct {
	tally         // of its entries, all of which are alive
	spots  []spot // of its entries, oldest first
	base   int64  // bytes of its base
	live   int64  // bytes of what a base of it would hold now, about
	deltas int32  // behind the base
	keys   int32  // with a value; too few by those keys that share a fingerprint with another one
	prints []uint16
}

// mayHave reports whether a key of this fingerprint may be in the page.
func (p *page) mayHave(print uint16) bool { return slices.Contains(p.prints, print) }

// note adds the fingerprints of changes of so many bytes, and counts the keys
// that are new.
func (p *page) note(prints []uint16, bytes int) {
	added := 0
	for i, print := range prints {
		if _, ok := slices.BinarySearch(p.prints, print); ok {
			continue
		}
		if added == 0 { // the slice is that of the page before
			p.prints = append(make([]uint16, 0, len(p.prints)+len(prints)-i), p.prints...)
		}
		at, _ := slices.BinarySearch(p.prints, print)
		p.prints = slices.Insert(p.prints, at, print)
		added++
	}
	if added == 0 {
		return
	}
	p.keys += int32(added)
	p.live += int64(bytes) * int64(added) / int64(len(prints))
}

// memory is what the page takes in the directory.
func (p *page) memory() int64 {
	return int64(unsafe.Sizeof(p)+unsafe.Sizeof(*p)) + 2*int64(cap(p.prints)) + int64(unsafe.Sizeof(spot{}))*int64(cap(p.spots))
}

// tableView is a unit's table as of a generation.
type tableView struct {
	since uint32  // entries of earlier segments are over: the table was written whole
	pages []*page // by number; nil where there is no entry
	bytes int64   // of all entries
	live  int64   // of all pages
	keys  int64
}

// clone returns a copy that may be changed.
func (t *tableView) clone() *tableView {
	c := *t
	c.pages = slices.Clone(t.pages)
	return &c
}

// set puts a page in the place of another one; nil takes it out.
func (t *tableView) set(i uint32, p *page) (out, in tally) {
	if old := t.pages[i]; old != nil {
		out = old.tally
		t.keys -= int64(old.keys)
		t.live -= old.live
	}
	if p != nil {
		in = p.tally
		t.keys += int64(p.keys)
		t.live += p.live
	}
	t.bytes += in.bytes - out.bytes
	t.pages[i] = p
	return out, in
}

// wanted is how many pages the table should have. It grows as soon as pages are
// too full on average, and shrinks only when they are nearly empty.
func (t *tableView) wanted() int {
	want := int(max((t.live+pageBytes-1)/pageBytes, 1))
	if n := len(t.pages); want <= n && want > n/4 {
		return n
	}
	return want
}
