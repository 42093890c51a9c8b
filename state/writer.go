package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// writer writes a checkpoint's records. It belongs to one goroutine.
type writer struct {
	c          *Checkpoint
	s          *Store
	from       *view // what it starts from
	generation uint64
	batch      *badger.WriteBatch
	units      []unitDraft
	blobs      map[string]blob
	shared     tally
	segments   segments // those in force, and those that this checkpoint writes
	first      uint32   // the first one that it writes
	tail       uint32   // those before it are to be emptied

	chunk      []byte // what the one that is being filled holds; nil: none is
	spare      []byte // of the one before, to be used again
	packed     []byte
	at         spot          // where it will be
	wrote      int64         // bytes
	sinceCheck int64         // bytes written since the disk was looked at
	worked     time.Time     // since when it has worked without a rest
	idle       time.Duration // for how long it has waited or rested
	committed  bool
	leaf       openLeaves
	made       page // the one that is being written
	read       reader
	group      []reader // of the pages that are split or joined
	live       []change // of all of them
	prints     []uint16
	among      uint16 // the keys whose changes were checked
	gone       bool   // one of them has no value any more
	entry      []byte
	body       []byte
	flip       []byte // what it is committed with
}

// unitDraft is a unit as it will be behind the flip.
type unitDraft struct {
	tally
	tables map[uint16]*tableDraft // those that changed
}

// tableDraft is a unit's table as it will be behind the flip.
type tableDraft struct {
	tableView
	whole bool // what is put is all that there is of it
}

func newWriter(c *Checkpoint) *writer {
	s := c.store
	s.reclaim()
	s.generation++
	w := &writer{c: c, s: s, generation: s.generation, first: s.segment + 1, worked: time.Now(), read: reader{far: true, recent: new(recent)}}
	w.from = s.current.Load() // nobody else changes it while this checkpoint goes on
	w.from.refs.Add(1)
	w.units = make([]unitDraft, len(w.from.units))
	for i := range w.units {
		w.units[i] = unitDraft{tally: w.from.units[i].tally, tables: map[uint16]*tableDraft{}}
	}
	w.blobs, w.shared = maps.Clone(w.from.blobs), w.from.shared
	w.segments = slices.Clone(w.from.segments)
	w.tail = w.segments.tail(s.cfg.sizes)
	return w
}

// close ends the writer; err is why its checkpoint is not in force.
func (w *writer) close(err error) {
	if w.batch != nil {
		w.batch.Cancel()
		w.batch = nil
	}
	w.from.release()
	if w.committed {
		return
	}
	if !errors.Is(err, errAborted) {
		w.s.log.Warn("a checkpoint failed, the one before stays in force", "generation", w.generation, "error", err)
	}
	for id := w.first; id <= w.s.segment && id != 0; id++ {
		if id != w.s.extra {
			w.s.waste.orphans = append(w.s.waste.orphans, id)
		}
	}
	w.s.waste.bytes.Add(w.wrote)
}

// open begins a batch.
func (w *writer) open() {
	if w.batch == nil {
		w.batch = w.s.db.NewWriteBatch()
		w.batch.SetMaxPendingTxns(pendingWrites)
	}
}

// flush waits until all that was written can be read.
func (w *writer) flush() error {
	if err := w.endChunk(); err != nil {
		return err
	}
	if w.batch == nil {
		return nil
	}
	err := w.batch.Flush()
	w.batch = nil
	return err
}

// append puts an entry into the chunk that is being filled, or, where that would hold
// more than so much, into the next one.
func (w *writer) append(entry []byte, full int) (spot, error) {
	if w.chunk != nil && len(w.chunk)+len(entry) > full {
		if err := w.endChunk(); err != nil {
			return spot{}, err
		}
	}
	if w.chunk == nil {
		if err := w.beginChunk(); err != nil {
			return spot{}, err
		}
	}
	w.chunk = append(w.chunk, entry...)
	s := w.at
	s.bytes = uint32(len(entry))
	w.segments[len(w.segments)-1].live += int64(len(entry))
	if len(w.chunk) >= full {
		return s, w.endChunk()
	}
	return s, nil
}

// beginChunk begins the next chunk, and where a segment is full the next one.
func (w *writer) beginChunk() error {
	w.at.number++
	n := len(w.segments)
	if w.at.segment == 0 || w.segments[n-1].total >= w.s.cfg.sizes.segment || w.at.number == rootNumber {
		id, err := w.s.nextSegment()
		if err != nil {
			return err
		}
		w.at = spot{segment: id}
		w.segments = append(w.segments, segment{id: id})
	}
	if w.chunk = w.spare[:0]; w.chunk == nil {
		w.chunk = make([]byte, 0, chunkBytes)
	}
	return nil
}

// endChunk writes the chunk that is being filled.
func (w *writer) endChunk() error {
	if w.chunk == nil {
		return nil
	}
	record := packChunk(w.at.segment, w.at.number, w.chunk, &w.packed)
	w.spare, w.chunk = w.chunk, nil
	return w.set(appendChunkKey(make([]byte, 0, chunkKeyLen), w.at.segment, w.at.number), record)
}

// checkEvery is how many bytes are written between looks at the disk.
const checkEvery = 16 << 20

// set writes a record. Key and record belong to Badger from here on.
func (w *writer) set(key, record []byte) error {
	w.rest()
	w.open()
	size := int64(len(key) + len(record))
	if w.sinceCheck += size; w.sinceCheck > checkEvery {
		w.sinceCheck = 0
		if err := w.s.disk.check(); err != nil {
			return err
		}
	}
	w.s.written.Add(size)
	unpacked := unpackedSize(key, record)
	w.wrote += unpacked
	w.segments[len(w.segments)-1].total += unpacked
	return w.batch.Set(key, record)
}

// table returns the draft of a unit's table.
func (w *writer) table(unit int, id uint16) *tableDraft {
	u := &w.units[unit]
	t := u.tables[id]
	if t == nil {
		t = &tableDraft{}
		if old := w.from.units[unit].tables[id]; old != nil {
			t.tableView = *old
			t.leaves = slices.Clone(old.leaves)
		} else {
			t.tableView = newTable(w.first, 1)
		}
		u.tables[id] = t
	}
	return t
}

// place puts a page in the place of what was there, of which nobody reads the entries
// any more that the new one does not have.
func (w *writer) place(at place, t *tableDraft, p *page) {
	if p.deltas == 0 { // one with deltas has the entries of before
		w.segments.gone(w.leaf.page(t, at.page).spots)
	}
	out, in := w.leaf.set(t, at.page, p)
	u := &w.units[at.unit]
	u.minus(out)
	u.plus(in)
}

// fresh reports whether a page was written by this checkpoint.
func (w *writer) fresh(p *page) bool { return p.there() && p.last() >= w.first }

// untouched reports whether a page of a draft is what it was in the view before, and
// there is something of it.
func (w *writer) untouched(t *tableDraft, i uint32) bool {
	if int(i) >= t.pages {
		return false // it was joined
	}
	p := w.leaf.page(t, i)
	return p.there() && !w.fresh(p)
}

// put writes what changed in a page: behind what is there, or, where that has
// become too much or is in a segment that is to be emptied, together with it as a
// new base.
func (w *writer) put(at place, changes []byte) error {
	t := w.table(at.unit, at.table)
	if int(at.page) >= t.pages {
		return fmt.Errorf("the table has %d pages", t.pages)
	}
	old := w.leaf.page(t, at.page)
	if w.fresh(old) {
		return errors.New("the page came twice in a checkpoint")
	}
	if err := w.check(at, t.pages, changes); err != nil {
		return err
	}
	if t.whole {
		return w.putWhole(at, t, changes)
	}
	switch {
	case !old.there() && t.pages == 1:
		return w.fill(at, t, changes)
	case !old.there() || old.deltas == maxDeltas || old.bytes-old.base+int64(len(changes))+entryHead > old.base || w.leaving(old):
		return w.merge(at, t, changes)
	}
	return w.delta(at, t, changes)
}

// leaving reports whether a page must be written anew because a segment that it
// is in is to be emptied.
func (w *writer) leaving(p *page) bool { return p.spots[0].segment < w.tail }

// check walks over changes and notes their fingerprints.
func (w *writer) check(at place, pages int, changes []byte) error {
	w.prints, w.among, w.gone = w.prints[:0], 0, false
	for rest := changes; len(rest) > 0; {
		c, next, err := nextChange(rest)
		if err != nil {
			return err
		}
		h := hash(c.key)
		if p := pageOf(h, pages); p != at.page {
			return fmt.Errorf("key %016x%016x belongs to page %d", c.key.Hi, c.key.Lo, p)
		}
		w.among |= sixteenth(h)
		if c.gone {
			w.gone = true
		} else {
			w.prints = append(w.prints, printOf(h))
		}
		rest = next
	}
	return nil
}

// alive leaves out the values that are over.
func (w *writer) alive(at place, live []change) []change {
	if w.c.keep == nil {
		return live
	}
	return slices.DeleteFunc(live, func(c change) bool { return !w.c.keep(at.unit, at.table, c.value) })
}

// merge writes a new base of what a page holds and what changed in it.
func (w *writer) merge(at place, t *tableDraft, changes []byte) error {
	r := &w.read
	r.reset()
	old := w.leaf.page(t, at.page)
	if old.there() {
		if err := w.from.read(at, old, r); err != nil {
			return err
		}
	}
	r.bodies = append(r.bodies, changes)
	if err := r.resolve(); err != nil {
		return err
	}
	r.live = w.alive(at, r.live)
	if !old.there() && len(r.live) == 0 {
		return nil // there was nothing, and there is nothing
	}
	return w.base(at, t, r.live)
}

// fill writes the first values of a table, in as many pages as they need.
func (w *writer) fill(at place, t *tableDraft, changes []byte) error {
	r := &w.read
	r.reset()
	r.bodies = append(r.bodies, changes)
	if err := r.resolve(); err != nil {
		return err
	}
	r.live = w.alive(at, r.live)
	if len(r.live) == 0 {
		return nil
	}
	t.resize((len(changes) + pageBytes - 1) / pageBytes)
	return w.spread(at, t, t.pages, r.live, nil)
}
