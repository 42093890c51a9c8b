package state

import (
	"iter"
	"slices"
	"unsafe"
)

// tableView is a unit's table as of a generation. It never changes once it is in a
// view.
type tableView struct {
	since  uint32 // entries of earlier segments are over: the table was written whole
	pages  int
	leaves []leaf // of its pages
	bytes  int64  // of all entries
	live   int64  // of all pages
	keys   int64
}

// newTable returns a table of so many pages without anything in it.
func newTable(since uint32, pages int) tableView {
	t := tableView{since: since}
	t.resize(pages)
	return t
}

// resize gives it so many pages. There is nothing of those that it loses.
func (t *tableView) resize(pages int) {
	n := (pages + leafPages - 1) / leafPages
	if n < len(t.leaves) {
		t.leaves = slices.Clone(t.leaves[:n]) // what the others took is given back
	}
	t.leaves = append(t.leaves, make([]leaf, n-len(t.leaves))...)
	t.pages = pages
}

// read makes p what page i is.
func (t *tableView) read(i uint32, p *page) {
	l, at := leafOf(i)
	t.leaves[l].read(at, p)
}

// mayHave reports whether a key of this hash may be in the table.
func (t *tableView) mayHave(h uint64) bool {
	l, at := leafOf(pageOf(h, t.pages))
	return t.leaves[l].mayHave(at, printOf(h))
}

// each returns the pages of which there is something, with their numbers; a page is
// valid until the next one.
func (t *tableView) each() iter.Seq2[uint32, *page] {
	return func(yield func(uint32, *page) bool) {
		var p page
		for l, leaf := range t.leaves {
			for at := range leafPages {
				if len(leaf.page(at)) == 0 {
					continue
				}
				leaf.read(at, &p)
				if !yield(uint32(l*leafPages+at), &p) {
					return
				}
			}
		}
	}
}

// count adjusts what is known of all pages: out was one of them, and in is one.
func (t *tableView) count(out, in *page) {
	t.keys += int64(in.keys) - int64(out.keys)
	t.live += in.live - out.live
	t.bytes += in.bytes - out.bytes
}

// empty reports whether a table has no record.
func (t *tableView) empty() bool {
	return !slices.ContainsFunc(t.leaves, func(l leaf) bool { return l != nil })
}

// wanted is how many pages the table should have. It grows as soon as pages are
// too full on average, and shrinks only when they are nearly empty.
func (t *tableView) wanted() int {
	want := int(max((t.live+pageBytes-1)/pageBytes, 1))
	if n := t.pages; want <= n && want > n/4 {
		return n
	}
	return want
}

// memory is what the table takes in the directory.
func (t *tableView) memory() int64 {
	n := int64(cap(t.leaves)) * int64(unsafe.Sizeof(leaf{}))
	for _, l := range t.leaves {
		n += int64(cap(l))
	}
	return n
}

// openLeaves are the leaves of drafts that are being changed. Pages are written in the
// order of their numbers, mostly, but of two units in turns, and what is split goes to
// pages that are far from it.
type openLeaves struct {
	of   [4]openLeaf
	last int // the one that was asked for last
	tmp  []byte
}

// openLeaf is one of them.
type openLeaf struct {
	t       *tableDraft // nil: none is open
	at      int
	pages   [leafPages]page
	changed bool
}

// page returns a page of a draft, which is valid until another one is asked for.
func (o *openLeaves) page(t *tableDraft, i uint32) *page {
	l, at := leafOf(i)
	for n := range o.of {
		if open := &o.of[n]; open.t == t && open.at == l {
			o.last = n
			return &open.pages[at]
		}
	}
	o.last = (o.last + 1) % len(o.of)
	open := &o.of[o.last]
	o.put(open)
	open.t, open.at = t, l
	for at := range open.pages {
		t.leaves[l].read(at, &open.pages[at])
	}
	return &open.pages[at]
}

// set puts a page in the place of another one.
func (o *openLeaves) set(t *tableDraft, i uint32, p *page) (out, in tally) {
	old := o.page(t, i)
	t.count(old, p)
	out, in = old.tally, p.tally
	old.copy(p)
	o.of[o.last].changed = true
	return out, in
}

// put puts a leaf into its table.
func (o *openLeaves) put(open *openLeaf) {
	if open.changed {
		open.t.leaves[open.at] = makeLeaf(open.pages[:], &o.tmp)
	}
	open.t, open.changed = nil, false
}

// close puts all of them into their tables.
func (o *openLeaves) close() {
	for n := range o.of {
		o.put(&o.of[n])
	}
}
