package state

import "math"

// delta writes changes behind the entries of a page.
func (w *writer) delta(at place, t *tableDraft, changes []byte) error {
	p := w.page()
	p.copy(w.leaf.page(t, at.page))
	p.deltas++
	p.note(w.prints, len(changes))
	out := parts{w: w, at: at, page: p, kind: kindDelta, full: chunkBytes}
	if err := out.all(changes); err != nil {
		return err
	}
	w.place(at, t, p)
	return nil
}

// parts cuts changes into entries.
type parts struct {
	w     *writer
	at    place
	page  *page
	kind  byte
	full  int // how much a chunk may hold
	count int
	body  []byte
}

// all writes encoded changes, parted where they are many.
func (o *parts) all(changes []byte) error {
	if len(changes) <= partBytes {
		return o.write(changes)
	}
	for rest := changes; len(rest) > 0; {
		_, next, err := nextChange(rest)
		if err != nil {
			return err
		}
		if err := o.add(rest[:len(rest)-len(next)]); err != nil {
			return err
		}
		rest = next
	}
	return o.end()
}

// write writes an entry.
func (o *parts) write(changes []byte) error {
	w := o.w
	w.entry = append(appendPageEntry(w.entry[:0], o.kind, o.at, o.count, len(changes)), changes...)
	s, err := w.append(w.entry, o.full)
	if err != nil {
		return err
	}
	s.among = math.MaxUint16
	if o.kind == kindDelta {
		s.among = w.among
	}
	o.page.add(s, w.entry)
	o.page.spots = append(o.page.spots, s)
	o.count++
	return nil
}

// add adds an encoded change.
func (o *parts) add(change []byte) error {
	if len(o.body) > 0 && len(o.body)+len(change) > partBytes {
		if err := o.end(); err != nil {
			return err
		}
	}
	o.body = append(o.body, change...)
	return nil
}

// end writes what is left, also where that is nothing at all: an empty base says
// that what was there is over.
func (o *parts) end() error {
	if o.count > 0 && len(o.body) == 0 {
		return nil
	}
	err := o.write(o.body)
	o.body = o.body[:0]
	return err
}

// base writes all that a page holds, in the place of what was there.
func (w *writer) base(at place, t *tableDraft, live []change) error {
	p := w.page()
	p.keys = int32(len(live))
	out := parts{w: w, at: at, page: p, kind: kindBase, full: chunkBytes, body: w.body[:0]}
	w.prints = w.prints[:0]
	for _, c := range live {
		w.prints = append(w.prints, printOf(hash(c.key)))
		if err := out.add(c.raw); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	w.body = out.body
	p.become(w.prints)
	w.place(at, t, p)
	return nil
}

// page returns a page that is to be filled in, until it is asked for the next one.
func (w *writer) page() *page {
	w.made.reset()
	return &w.made
}
