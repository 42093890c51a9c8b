package state

import (
	"cmp"
	"fmt"
	"slices"
)

// scanRun is how many pages are read together, and scanBytes how large they are
// together at most, but for one page.
const (
	scanRun   = 512
	scanBytes = 8 << 20
)

// scanner reads many pages together: what a checkpoint changed in pages that are
// neighbours stands in one chunk, which is then read once for all of them.
type scanner struct {
	at     place // of the first page
	pages  []page
	wanted []wanted
	of     []reader // by page
}

// wanted is an entry that is to be read.
type wanted struct {
	spot
	page int
}

// scan reads all pages of a table, some at a time, and hands over the live values
// of each.
func (v *view) scan(unit int, table uint16, t *tableView, fn func(place, []change) error) error {
	var sc scanner
	room := make([]page, min(scanRun, t.pages))
	for from := 0; from < t.pages; {
		until, size := from, int64(0)
		for until < t.pages && until-from < scanRun && (until == from || size < scanBytes) {
			p := &room[until-from]
			t.read(uint32(until), p)
			size += p.bytes
			until++
		}
		sc.at, sc.pages = place{unit, table, uint32(from)}, room[:until-from]
		if err := sc.read(v.snapshot); err != nil {
			return err
		}
		if err := sc.each(fn); err != nil {
			return err
		}
		from = until
	}
	return nil
}

// read reads the pages' entries, in the order in which they were written.
func (sc *scanner) read(sn *snapshot) error {
	it, err := sn.iterator()
	if err != nil {
		return sc.at.wrap(err)
	}
	defer sn.done(it)
	sc.wanted, sc.of = sc.wanted[:0], slices.Grow(sc.of[:0], len(sc.pages))[:len(sc.pages)]
	for i := range sc.pages {
		sc.of[i].reset()
		for _, s := range sc.pages[i].spots {
			sc.wanted = append(sc.wanted, wanted{s, i})
		}
	}
	slices.SortStableFunc(sc.wanted, func(a, b wanted) int {
		return cmp.Or(cmp.Compare(a.segment, b.segment), cmp.Compare(a.number, b.number))
	})
	r := reader{far: true}
	for from := 0; from < len(sc.wanted); {
		s, until := sc.wanted[from].spot, from+1
		for until < len(sc.wanted) && sc.wanted[until].segment == s.segment && sc.wanted[until].number == s.number {
			until++
		}
		err := it.chunk(s, &r, func(entries []byte) error { return sc.take(entries, sc.wanted[from:until]) })
		if err != nil {
			return sc.place(sc.wanted[from].page).wrap(fmt.Errorf("segment %d, chunk %d: %w", s.segment, s.number, err))
		}
		from = until
	}
	return nil
}

// take takes the entries that are wanted from a chunk.
func (sc *scanner) take(entries []byte, wanted []wanted) error {
	for _, want := range wanted {
		e, err := ofPage(entries, sc.place(want.page))
		if err != nil {
			return err
		}
		r := &sc.of[want.page]
		r.got.add(want.spot, e.all)
		r.arena = append(r.arena, e.body...)
		r.ends = append(r.ends, len(r.arena))
	}
	return nil
}

func (sc *scanner) place(page int) place {
	at := sc.at
	at.page += uint32(page)
	return at
}

// each hands over what was read.
func (sc *scanner) each(fn func(place, []change) error) error {
	for i := range sc.pages {
		p := &sc.pages[i]
		if !p.there() {
			continue
		}
		r, at := &sc.of[i], sc.place(i)
		if r.got != p.tally {
			return at.wrap(fmt.Errorf("%w: %d entries of %d bytes, must be %d of %d", ErrCorrupt, r.got.records, r.got.bytes, p.records, p.bytes))
		}
		r.seal()
		if err := r.resolve(); err != nil {
			return at.wrap(err)
		}
		if err := fn(at, r.live); err != nil {
			return err
		}
	}
	return nil
}
