package state

import (
	"errors"
	"fmt"
)

// spareShare is the part of its pages that a table has to spare when it is written
// whole: what grows is not split at once.
const spareShare = 8

// PagesOf returns in how many pages so many bytes of changes stand best, where a
// table is written whole.
func PagesOf(bytes int64) int {
	return int(max(1, (bytes+bytes/spareShare+pageBytes-1)/pageBytes))
}

// ChangeBytes returns how long what AppendChange appends is, about, for a value of so
// many bytes.
func ChangeBytes(value int) int64 { return int64(keyLen + 2 + value) }

// PageAmong returns the page of a key where there are so many.
func PageAmong(k Key, pages int) uint32 { return pageOf(hash(k), pages) }

// Whole says that what is put of a table of a unit from here on, in so many pages,
// is all that there is of it: it takes the place of what was there, which is not
// read. So nothing may have been put of it before, and of what is put behind it
// nothing may be a deletion.
func (c *Checkpoint) Whole(unit int, table uint16, pages int) error {
	if unit < 0 || unit >= c.store.cfg.Units {
		return fmt.Errorf("unit %d, must be below %d", unit, c.store.cfg.Units)
	}
	if pages < 1 {
		return fmt.Errorf("a table of %d pages, must be at least 1", pages)
	}
	at := place{unit: unit, table: table}
	return c.enqueue(0, func(w *writer) error { return at.wrap(w.anew(at, pages)) })
}

// anew begins a table of a unit anew.
func (w *writer) anew(at place, pages int) error {
	if w.units[at.unit].tables[at.table] != nil {
		return errors.New("the table is written whole behind a change of it")
	}
	if old := w.from.units[at.unit].tables[at.table]; old != nil {
		w.take(at.unit, old)
	}
	w.units[at.unit].tables[at.table] = &tableDraft{tableView: newTable(w.first, pages), whole: true}
	return nil
}

// take takes all pages of a unit's table out of force.
func (w *writer) take(unit int, t *tableView) {
	for _, p := range t.each() {
		w.units[unit].minus(p.tally)
		w.segments.gone(p.spots)
	}
}

// putWhole writes all that a page of a table holds that is written whole.
func (w *writer) putWhole(at place, t *tableDraft, changes []byte) error {
	if w.gone {
		return errors.New("a deletion in a table that is written whole")
	}
	p := w.page()
	p.keys = int32(len(w.prints))
	out := parts{w: w, at: at, page: p, kind: kindBase, full: wholeChunkBytes, body: w.body[:0]}
	if err := out.all(changes); err != nil {
		return err
	}
	w.body = out.body
	p.become(w.prints)
	w.place(at, t, p)
	return nil
}
