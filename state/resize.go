package state

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// groupKept is how many readers of pages that are joined stay for the next ones.
const groupKept = 8

// resize gives the tables that changed as many pages as they should have. Only
// pages that are split or joined are written anew. now sees all that was
// written.
func (w *writer) resize(now *snapshot) error {
	for i := range w.units {
		for _, id := range slices.Sorted(maps.Keys(w.units[i].tables)) {
			t := w.units[i].tables[id]
			if want := t.wanted(); want != t.pages {
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
	have := t.pages
	groups := map[uint32][]uint32{} // those that are joined, or the one that is split, by the smaller count's page
	for q := min(have, want); q < max(have, want); q++ {
		p := parentOf(uint32(q), min(have, want))
		if groups[p] == nil {
			groups[p] = []uint32{p}
		}
		groups[p] = append(groups[p], uint32(q))
	}
	if want > have {
		t.resize(want)
	}
	for _, p := range slices.Sorted(maps.Keys(groups)) {
		if err := w.rewrite(now, unit, id, t, groups[p], want); err != nil {
			return err
		}
	}
	w.leaf.close()
	t.resize(want)
	w.group = slices.Delete(w.group, min(groupKept, len(w.group)), len(w.group))
	return nil
}

// rewrite reads pages and writes what is in them to those of them that there are
// from now on. Also one that stays empty gets a base: there may be entries of a page
// of its number from when the table had more of them, and the base says that they
// are over.
func (w *writer) rewrite(now *snapshot, unit int, id uint16, t *tableDraft, group []uint32, want int) error {
	nothing := t.since == w.first && !slices.ContainsFunc(group, func(i uint32) bool { return w.leaf.page(t, i).there() })
	for len(w.group) < len(group) {
		w.group = append(w.group, reader{far: true, recent: w.read.recent})
	}
	w.live = w.live[:0]
	for k, i := range group {
		p := w.leaf.page(t, i)
		if !p.there() {
			continue
		}
		at := place{unit, id, i}
		r := &w.group[k] // what is in it is kept until all is written
		if err := now.read(at, p, r); err != nil {
			return err
		}
		if err := r.resolve(); err != nil {
			return at.wrap(err)
		}
		w.live = append(w.live, w.alive(at, r.live)...)
	}
	must := group
	if past := slices.IndexFunc(group, func(i uint32) bool { return int(i) >= want }); past >= 0 {
		must = group[:past]
	}
	if nothing {
		must = nil
	}
	if err := w.spread(place{unit: unit, table: id}, t, want, w.live, must); err != nil {
		return err
	}
	for _, i := range group {
		if int(i) >= want {
			w.place(place{unit, id, i}, t, &page{})
		}
	}
	return nil
}

// spread writes values to those of so many pages that they belong to, and a base to
// those that must have one, of which the numbers ascend, also where it is empty. It
// changes the order of the values.
func (w *writer) spread(at place, t *tableDraft, pages int, live []change, must []uint32) error {
	slices.SortFunc(live, func(a, b change) int {
		return cmp.Or(cmp.Compare(pageOf(hash(a.key), pages), pageOf(hash(b.key), pages)), compareKeys(a.key, b.key))
	})
	for len(live) > 0 || len(must) > 0 {
		at.page = math.MaxUint32
		if len(must) > 0 {
			at.page = must[0]
		}
		if len(live) > 0 {
			at.page = min(at.page, pageOf(hash(live[0].key), pages))
		}
		if len(must) > 0 && must[0] == at.page {
			must = must[1:]
		}
		n := 0
		for n < len(live) && pageOf(hash(live[n].key), pages) == at.page {
			n++
		}
		if err := w.base(at, t, live[:n]); err != nil {
			return err
		}
		live = live[n:]
	}
	return nil
}
