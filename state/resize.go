package state

import (
	"maps"
	"slices"
)

// resize gives the tables that changed as many pages as they should have. Only
// pages that are split or joined are written anew. now sees all that was
// written.
func (w *writer) resize(now *snapshot) error {
	for i := range w.units {
		for _, id := range slices.Sorted(maps.Keys(w.units[i].tables)) {
			t := w.units[i].tables[id]
			if want := t.wanted(); want != len(t.pages) {
				if err := w.regroup(now, i, id, t, want); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// regroup gives a table want pages.
func (w *writer) regroup(now *snapshot, unit int, id uint16, t *tableDraft, want int) error {
	have := len(t.pages)
	groups := map[uint32][]uint32{} // those that are joined, or the one that is split, by the smaller count's page
	for q := min(have, want); q < max(have, want); q++ {
		p := parentOf(uint32(q), min(have, want))
		if groups[p] == nil {
			groups[p] = []uint32{p}
		}
		groups[p] = append(groups[p], uint32(q))
	}
	if want > have {
		t.pages = append(t.pages, make([]*page, want-have)...)
	}
	for _, p := range slices.Sorted(maps.Keys(groups)) {
		if err := w.rewrite(now, unit, id, t, groups[p], want); err != nil {
			return err
		}
	}
	t.pages = t.pages[:want]
	return nil
}

// rewrite reads pages and writes what is in them to those of them that there are
// from now on. Also one that stays empty gets a base: there may be entries of a page
// of its number from when the table had more of them, and the base says that they
// are over.
func (w *writer) rewrite(now *snapshot, unit int, id uint16, t *tableDraft, group []uint32, want int) error {
	of := map[uint32][]change{}
	nothing := t.since == w.first && !slices.ContainsFunc(group, func(i uint32) bool { return t.pages[i] != nil })
	for _, i := range group {
		if int(i) < want && !nothing {
			of[i] = nil
		}
	}
	for _, i := range group {
		p := t.pages[i]
		if p == nil {
			continue
		}
		at := place{unit, id, i}
		r := &reader{far: true, recent: w.read.recent} // what is in it is kept until all is written
		if err := now.read(at, p, r); err != nil {
			return err
		}
		if err := r.resolve(); err != nil {
			return at.wrap(err)
		}
		for _, c := range w.alive(at, r.live) {
			to := pageOf(hash(c.key), want)
			of[to] = append(of[to], c)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(of)) {
		if err := w.base(place{unit, id, to}, t, of[to]); err != nil {
			return err
		}
	}
	for _, i := range group {
		if int(i) >= want && t.pages[i] != nil {
			w.supersede(t.pages[i])
			w.place(place{unit, id, i}, t, nil)
		}
	}
	return nil
}
