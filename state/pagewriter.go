package state

import (
	"fmt"
	"slices"
)

// delta writes changes behind the records of a page.
func (w *writer) delta(at place, t *tableDraft, record []byte) error {
	p := *t.pages[at.page]
	p.deltas++
	p.note(w.prints, len(record)-recordHead-1)
	if len(record) <= partBytes {
		EndRecord(record, 0, recordVersion)
		if err := w.part(at, &p, 0, record); err != nil {
			return err
		}
	} else {
		out := parts{w: w, at: at, page: &p, kind: kindDelta}
		for rest := record[recordHead+1:]; len(rest) > 0; {
			_, next, err := nextChange(rest)
			if err != nil {
				return err
			}
			if err := out.add(rest[:len(rest)-len(next)]); err != nil {
				return err
			}
			rest = next
		}
		if err := out.end(); err != nil {
			return err
		}
	}
	w.place(at, t, &p)
	return nil
}

// part writes one record of a page.
func (w *writer) part(at place, p *page, part int, record []byte) error {
	if part > pagePartMax {
		return fmt.Errorf("a page of more than %d records", pagePartMax)
	}
	key := at.record(make([]byte, 0, pageKeyLen), w.generation, part)
	p.add(key, record)
	return w.set(key, record)
}

// parts cuts changes into records.
type parts struct {
	w      *writer
	at     place
	page   *page
	kind   byte
	count  int
	record []byte
}

func (o *parts) begin(size int) {
	o.record, _ = BeginRecord(make([]byte, 0, recordHead+1+size))
	o.record = append(o.record, o.kind)
}

// add adds an encoded change.
func (o *parts) add(change []byte) error {
	if o.record != nil && len(o.record)+len(change) > partBytes {
		if err := o.end(); err != nil {
			return err
		}
	}
	if o.record == nil {
		o.begin(len(change))
	}
	o.record = append(o.record, change...)
	return nil
}

// end writes the record that is open.
func (o *parts) end() error {
	if o.record == nil {
		return nil
	}
	EndRecord(o.record, 0, recordVersion)
	err := o.w.part(o.at, o.page, o.count, o.record)
	o.count, o.record = o.count+1, nil
	return err
}

// base writes all that a page holds.
func (w *writer) base(at place, t *tableDraft, live []change) error {
	p := &page{first: w.generation, keys: len(live)}
	out := parts{w: w, at: at, page: p, kind: kindBase}
	size := 0
	w.prints = w.prints[:0]
	for _, c := range live {
		size += int(c.size()) + 1
		w.prints = append(w.prints, printOf(hash(c.key)))
	}
	out.begin(min(size, partBytes))
	var one []byte
	for _, c := range live {
		one = AppendChange(one[:0], c.key, c.value)
		if err := out.add(one); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	slices.Sort(w.prints)
	p.prints = slices.Clone(slices.Compact(w.prints))
	p.base, p.live = p.bytes, p.bytes
	w.place(at, t, p)
	return nil
}
