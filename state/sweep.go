package state

import (
	"context"
	"maps"
	"slices"
)

const (
	// sweepRounds is in how many checkpoints every page is looked at once for
	// values that are over: an hour's, where there is one every ten seconds.
	sweepRounds = 360
	// sweepHurry is how many times faster that goes where the disk holds over
	// twice what is alive.
	sweepHurry = 8
	// sweepWorth is which part of a page must be over to write it anew for that.
	sweepWorth = 4
	// sweepSlack is what the disk may hold in any case: logs of memtables, tables
	// of which there are two until the old one is deleted.
	sweepSlack = 64 << 20
)

// clean looks at some pages that this checkpoint does not write, in turn, and
// writes those anew of which enough is over.
func (w *writer) clean(ctx context.Context) error {
	pages, bytes := 0, int64(0)
	for i := range w.from.units {
		for _, t := range w.from.units[i].tables {
			pages += len(t.pages)
			bytes += t.bytes
		}
	}
	if pages == 0 {
		return nil
	}
	budget := pages/sweepRounds + 1
	if float64(w.s.blocks.Load()) > 2*float64(bytes)*(1-w.s.dead)+sweepSlack {
		budget *= sweepHurry
	}
	var looked, over int64
	for next, ok := w.after(w.s.sweep); ok && budget > 0; next, ok = w.after(next) {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, o, err := w.tidy(next)
		if err != nil {
			return err
		}
		looked, over, budget = looked+l, over+o, budget-1
		w.s.sweep = next
	}
	if _, ok := w.after(w.s.sweep); !ok {
		w.s.sweep = place{unit: -1} // the next turn begins
	}
	if looked > 0 {
		const weight = 0.1
		w.s.dead += weight * (float64(over)/float64(looked) - w.s.dead)
	}
	return nil
}

// after returns the page behind a place, in the order of units, tables, pages.
func (w *writer) after(at place) (next place, ok bool) {
	if at.unit >= 0 {
		if t := w.from.units[at.unit].tables[at.table]; t != nil && int(at.page)+1 < len(t.pages) {
			at.page++
			return at, true
		}
	}
	for unit := max(at.unit, 0); unit < len(w.from.units); unit++ {
		for _, id := range slices.Sorted(maps.Keys(w.from.units[unit].tables)) {
			if unit > at.unit || id > at.table {
				return place{unit: unit, table: id}, true
			}
		}
	}
	return place{}, false
}

// tidy writes a page anew where enough of it is over: values that keep does not
// want, and changes that later ones replace. It returns how many bytes it looked
// at and how many of them are over.
func (w *writer) tidy(at place) (looked, over int64, err error) {
	t := w.table(at.unit, at.table)
	if int(at.page) >= len(t.pages) || t.fresh[at.page] {
		return 0, 0, nil
	}
	p := t.pages[at.page]
	if p == nil {
		return 0, 0, nil
	}
	r := &w.read
	if err := w.from.read(at, p, r); err != nil {
		return 0, 0, err
	}
	if r.live, err = resolve(r.live[:0], r.bodies); err != nil {
		return 0, 0, at.wrap(err)
	}
	r.live = w.alive(at, r.live)
	alive := int64(0)
	for _, c := range r.live {
		alive += c.size()
	}
	looked = int64(len(r.arena))
	over = max(looked-alive, 0)
	if over*sweepWorth < looked || over == 0 {
		return looked, over, nil
	}
	w.supersede(at, r.ids)
	err = w.base(at, t, r.live)
	return looked, over, err
}
