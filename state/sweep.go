package state

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// sweepTime is how long it takes until every page was looked at once for values
	// that are over. It is no number of checkpoints: where memory is short these come
	// ten times as often.
	sweepTime = time.Hour
	// sweepMost is which part of all pages a checkpoint looks at, at most.
	sweepMost = 360
	// sweepWorth is which part of a page must be over to write it anew for that.
	sweepWorth = 4
)

// empty writes everything anew that is still alive in the segments before the
// tail, so that they can be given up.
func (w *writer) empty(ctx context.Context) error {
	if w.tail == 0 {
		return nil
	}
	for unit := range w.from.units {
		for _, id := range slices.Sorted(maps.Keys(w.from.units[unit].tables)) {
			for i, p := range w.from.units[unit].tables[id].each() {
				if !w.leaving(p) {
					continue
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				at := place{unit, id, i}
				t := w.table(unit, id)
				if !w.untouched(t, i) {
					continue
				}
				if err := w.merge(at, t, nil); err != nil {
					return err
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.blobs)) {
		b := w.blobs[name]
		if b.spots[0].segment >= w.tail || name == flipBlob { // that comes with each checkpoint
			continue
		}
		content, err := w.from.blob(b)
		if err != nil {
			return err
		}
		if err := w.blob(name, content); err != nil {
			return err
		}
	}
	return nil
}

// clean looks at some pages that this checkpoint does not write, in turn, and
// writes those anew of which enough is over.
func (w *writer) clean(ctx context.Context) error {
	pages := 0
	for i := range w.from.units {
		for _, t := range w.from.units[i].tables {
			pages += t.pages
		}
	}
	if pages == 0 || w.c.keep == nil {
		return nil
	}
	now := time.Now()
	budget := sweepPart(pages, now.Sub(w.s.swept))
	w.s.swept = now
	for next, ok := w.after(w.s.sweep); ok && budget > 0; next, ok = w.after(next) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.tidy(next); err != nil {
			return err
		}
		budget--
		w.s.sweep = next
	}
	if _, ok := w.after(w.s.sweep); !ok {
		w.s.sweep = place{unit: -1} // the next turn begins
	}
	return nil
}

// sweepPart returns how many of so many pages a checkpoint looks at that comes so
// long behind the one before: one at least, so that few pages are done soon.
func sweepPart(pages int, since time.Duration) int {
	part := float64(pages) * float64(max(since, 0)) / float64(sweepTime)
	return int(min(part, float64(pages/sweepMost))) + 1
}

// after returns the page behind a place, in the order of units, tables, pages.
func (w *writer) after(at place) (next place, ok bool) {
	if at.unit >= 0 {
		if t := w.from.units[at.unit].tables[at.table]; t != nil && int(at.page)+1 < t.pages {
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
// want, and changes that later ones replace.
func (w *writer) tidy(at place) error {
	t := w.table(at.unit, at.table)
	if !w.untouched(t, at.page) {
		return nil
	}
	w.rest()
	r := &w.read
	if err := w.from.read(at, w.leaf.page(t, at.page), r); err != nil {
		return err
	}
	if err := r.resolve(); err != nil {
		return at.wrap(err)
	}
	r.live = w.alive(at, r.live)
	alive := int64(0)
	for _, c := range r.live {
		alive += c.size()
	}
	looked := int64(len(r.arena))
	over := max(looked-alive, 0)
	if over*sweepWorth < looked || over == 0 {
		return nil
	}
	return w.base(at, t, r.live)
}
