package state

import (
	"maps"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// resize gives the tables that changed as many pages as they should have. Only
// pages that are split or joined are written anew. txn sees all that was
// written.
func (w *writer) resize(txn *badger.Txn) error {
	for i := range w.units {
		for _, id := range slices.Sorted(maps.Keys(w.units[i].tables)) {
			t := w.units[i].tables[id]
			if want := t.wanted(); want != len(t.pages) {
				if err := w.regroup(txn, i, id, t, want); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// regroup gives a table want pages.
func (w *writer) regroup(txn *badger.Txn, unit int, id uint16, t *tableDraft, want int) error {
	have := len(t.pages)
	groups := map[uint32][]uint32{} // those that are joined, or the one that is split, by the smaller count's page
	for q := min(have, want); q < max(have, want); q++ {
		p := parentOf(uint32(q), min(have, want))
		if groups[p] == nil {
			groups[p] = []uint32{p}
		}
		if q < have {
			groups[p] = append(groups[p], uint32(q))
		}
	}
	if want > have {
		t.pages = append(t.pages, make([]*page, want-have)...)
	}
	for _, p := range slices.Sorted(maps.Keys(groups)) {
		if err := w.rewrite(txn, unit, id, t, groups[p], want); err != nil {
			return err
		}
	}
	t.pages = t.pages[:want]
	return nil
}

// rewrite reads pages and writes what is in them to the pages of want.
func (w *writer) rewrite(txn *badger.Txn, unit int, id uint16, t *tableDraft, from []uint32, want int) error {
	of := map[uint32][]change{}
	var stale []string // of this generation: they must be gone before the flip, unless they are written over
	for _, i := range from {
		p := t.pages[i]
		if p == nil {
			continue
		}
		at := place{unit, id, i}
		r := new(reader) // what is in it is kept until all is written
		if err := (&view{txn: txn}).read(at, p, r); err != nil {
			return err
		}
		var err error
		if r.live, err = resolve(nil, r.bodies); err != nil {
			return at.wrap(err)
		}
		for _, c := range w.alive(at, r.live) {
			to := pageOf(hash(c.key), want)
			of[to] = append(of[to], c)
		}
		for _, one := range r.ids {
			key := string(at.record(nil, one.generation, one.part))
			if one.generation == w.generation {
				stale = append(stale, key)
			} else {
				w.superseded = append(w.superseded, key)
			}
		}
		if int(i) < want && of[i] == nil {
			of[i] = []change{} // an empty base says that what was there is over
		}
	}
	written := len(w.keys)
	for _, to := range slices.Sorted(maps.Keys(of)) {
		if err := w.base(place{unit, id, to}, t, of[to]); err != nil {
			return err
		}
	}
	for _, i := range from {
		if int(i) >= want {
			w.place(place{unit, id, i}, t, nil)
		}
	}
	for _, key := range stale {
		if !slices.Contains(w.keys[written:], key) {
			if err := w.batch.Delete([]byte(key)); err != nil {
				return err
			}
		}
	}
	return nil
}
