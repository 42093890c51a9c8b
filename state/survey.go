package state

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// survey is a pass over all records of a store. It checks each of them, tells
// those in force from those that nobody reads, and builds the directory.
type survey struct {
	db        *badger.DB
	unitCount int
	// fault is called with what is wrong and where; nil: the first one ends the
	// pass and is its error.
	fault func(where string, err error)

	root     *root
	rootAt   uint32 // the segment that it stands in
	views    []unitView
	read     []map[uint16][]*page // by unit and table, while records are read
	segments segments
	shared   tally
	pieces   map[spot]tally // of blobs in force, by where they are
	stray    segments       // those that nobody reads
	latest   uint32         // the highest of any record
	drafts   map[*page]*pageDraft
	chunk    []byte // the one that is looked at, unpacked
}

// pageDraft is what is known of a page only while it is read.
type pageDraft struct {
	bad error // why an entry cannot be read that may be in force
}

// report passes a fault on.
func (sv *survey) report(where string, err error) error {
	if sv.fault != nil {
		sv.fault(where, err)
		return nil
	}
	return fmt.Errorf("%s: %w", where, corrupt(err))
}

// roots reads what is in force: the root in the last segment that has one.
func (sv *survey) roots() error {
	txn := sv.db.NewTransaction(false)
	defer txn.Discard()
	record, segment, err := lastRoot(txn)
	if err != nil || record == nil {
		return corrupt(err)
	}
	body, rest, err := ReadRecord(record, recordVersion)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind it", ErrCorrupt, len(rest))
	}
	if err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	if sv.root, err = decodeRoot(body); err != nil {
		return corrupt(err)
	}
	sv.rootAt = segment
	if sv.root.format != Format {
		return fmt.Errorf("%w: its root is of format %d, must be %d", ErrCorrupt, sv.root.format, Format)
	}
	if sv.unitCount == 0 {
		sv.unitCount = sv.root.units
	}
	if sv.unitCount != sv.root.units {
		return fmt.Errorf("%w: its root has %d units, must have %d", ErrCorrupt, sv.root.units, sv.unitCount)
	}
	return nil
}

// lastRoot returns the pieces of the last root, put together. One without its first
// piece was never in force.
func lastRoot(txn *badger.Txn) (record []byte, segment uint32, err error) {
	back := txn.NewIterator(badger.IteratorOptions{Reverse: true})
	defer back.Close()
	for back.Rewind(); back.Valid(); back.Next() {
		id, number, ok := parseChunkKey(back.Item().Key())
		if !ok || number < rootNumber {
			continue
		}
		if id != segment {
			segment, record = id, nil
		}
		piece, err := back.Item().ValueCopy(nil)
		if err != nil {
			return nil, 0, err
		}
		if record = append(piece, record...); number == rootNumber {
			return record, segment, nil
		}
	}
	return nil, 0, nil
}

// matches compares what is in force with what the sidecar says. The sidecar is
// written behind the flip, so the store may be ahead of it.
func (sv *survey) matches(side *sidecar) error {
	r := sv.root
	switch {
	case r == nil:
		return fmt.Errorf("%w: it is empty, and %s has generation %d of it", ErrCorrupt, sidecarFile, side.Generation)
	case r.id != side.ID:
		return fmt.Errorf("%w: it is the store %s, and %s that of %s", ErrCorrupt, r.id, sidecarFile, side.ID)
	case r.units != side.Units || r.keyID != side.KeyID:
		return fmt.Errorf("%w: it has %d units and the key %q, %s has %d and %q", ErrCorrupt, r.units, r.keyID, sidecarFile, side.Units, side.KeyID)
	case r.generation < side.Generation:
		return fmt.Errorf("%w: it has generation %d, and %s has generation %d of it", ErrCorrupt, r.generation, sidecarFile, side.Generation)
	case r.generation == side.Generation && r.tick != side.Tick:
		return fmt.Errorf("%w: it is as of tick %d, and %s says %d", ErrCorrupt, r.tick, sidecarFile, side.Tick)
	}
	return nil
}

// run reads every record.
func (sv *survey) run() error {
	sv.views = make([]unitView, sv.unitCount)
	sv.read = make([]map[uint16][]*page, sv.unitCount)
	for i := range sv.root.of {
		u := &sv.root.of[i]
		sv.views[i].tables = make(map[uint16]*tableView, len(u.tables))
		sv.read[i] = make(map[uint16][]*page, len(u.tables))
		for id, t := range u.tables {
			view := newTable(t.since, t.pages)
			sv.views[i].tables[id], sv.read[i][id] = &view, make([]*page, t.pages)
		}
	}
	for _, id := range sv.root.segments {
		sv.segments = append(sv.segments, segment{id: id})
	}
	sv.pieces, sv.drafts = map[spot]tally{}, map[*page]*pageDraft{}
	for _, b := range sv.root.blobs {
		for _, s := range b.spots {
			sv.pieces[s] = tally{}
		}
	}
	txn := sv.db.NewTransaction(false)
	defer txn.Discard()
	it := newIterator(txn)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if err := item.Value(func(record []byte) error { return sv.record(key, record) }); err != nil {
			return corrupt(err)
		}
	}
	return sv.endPages()
}

// record looks at one record.
func (sv *survey) record(key, record []byte) error {
	id, number, ok := parseChunkKey(key)
	if !ok {
		return sv.report(fmt.Sprintf("record %x", key), fmt.Errorf("%w: a record of no known kind", ErrCorrupt))
	}
	sv.latest = max(sv.latest, id)
	size := unpackedSize(key, record)
	seg, ok := sv.segments.find(id)
	if !ok {
		if n := len(sv.stray); n == 0 || sv.stray[n-1].id != id {
			sv.stray = append(sv.stray, segment{id: id})
		}
		sv.stray[len(sv.stray)-1].total += size
		return nil
	}
	seg.total += size
	if number >= rootNumber {
		return nil
	}
	entries, err := openChunk(record, id, number, sv.chunk)
	sv.chunk = entries
	for err == nil && len(entries) > 0 {
		var e entry
		if e, entries, err = nextEntry(entries); err == nil {
			sv.entry(e, spot{segment: id, number: number, bytes: uint32(len(e.all))}, seg)
		}
	}
	if err != nil {
		return sv.report(fmt.Sprintf("segment %d, chunk %d", id, number), err)
	}
	return nil
}

// entry looks at an entry of a chunk.
func (sv *survey) entry(e entry, s spot, seg *segment) {
	if e.kind == kindBlob {
		if _, ok := sv.pieces[s]; ok {
			var t tally
			t.add(s, e.all)
			sv.pieces[s] = t
			sv.shared.plus(t)
			seg.live += t.bytes
		}
		return
	}
	t := sv.tableOf(e.at, s.segment)
	if t == nil {
		return
	}
	pages := sv.read[e.at.unit][e.at.table]
	p := pages[e.at.page]
	if p == nil {
		p = &page{}
		pages[e.at.page] = p
	}
	if e.kind == kindBase && e.part == 0 { // what stands before it is over
		sv.segments.gone(p.spots)
		delete(sv.drafts, p)
		*p = page{spots: p.spots[:0], prints: p.prints[:0]}
	}
	if e.kind == kindDelta && e.part == 0 {
		p.deltas++
	}
	p.add(s, e.all)
	seg.live += int64(len(e.all))
	err := sv.changes(e, p, t, &s)
	p.spots = append(p.spots, s)
	if err != nil {
		sv.draft(p).bad = errors.Join(sv.draft(p).bad, err)
	}
}

// draft returns what is known of a page while it is read.
func (sv *survey) draft(p *page) *pageDraft {
	d := sv.drafts[p]
	if d == nil {
		d = &pageDraft{}
		sv.drafts[p] = d
	}
	return d
}

// changes takes note of what an entry of a page says.
func (sv *survey) changes(e entry, p *page, t *tableView, s *spot) error {
	for body := e.body; len(body) > 0; {
		c, rest, err := nextChange(body)
		if err != nil {
			return err
		}
		h := hash(c.key)
		if to := pageOf(h, t.pages); to != e.at.page {
			return fmt.Errorf("%w: key %016x%016x belongs to page %d", ErrCorrupt, c.key.Hi, c.key.Lo, to)
		}
		s.among |= sixteenth(h)
		if !c.gone {
			p.prints = append(p.prints, printOf(h))
		}
		body = rest
	}
	switch {
	case e.kind == kindBase:
		p.base, p.keys = p.bytes, int32(len(p.prints))
		s.among = math.MaxUint16
	case len(p.spots) == 0:
		return fmt.Errorf("%w: a change without a base", ErrCorrupt)
	}
	return nil
}

// tableOf returns the table that an entry belongs to; nil where it is over.
func (sv *survey) tableOf(at place, segment uint32) *tableView {
	if at.unit >= len(sv.views) {
		return nil
	}
	t := sv.views[at.unit].tables[at.table]
	if t == nil || int(at.page) >= t.pages || segment < t.since {
		return nil
	}
	return t
}

// endPages takes the pages that were read into the directory.
func (sv *survey) endPages() error {
	var of [leafPages]page
	var tmp []byte
	for unit := range sv.views {
		for id, t := range sv.views[unit].tables {
			pages := sv.read[unit][id]
			for l := range t.leaves {
				from := l * leafPages
				some := pages[from:min(from+leafPages, len(pages))]
				for at, p := range some {
					of[at].reset()
					if p == nil {
						continue
					}
					some[at] = nil
					if d := sv.drafts[p]; d != nil && d.bad != nil {
						if err := sv.report(place{unit, id, uint32(from + at)}.String(), d.bad); err != nil {
							return err
						}
						continue
					}
					p.adopt()
					t.count(&page{}, p)
					sv.views[unit].plus(p.tally)
					of[at] = *p
				}
				t.leaves[l] = makeLeaf(of[:len(some)], &tmp)
			}
		}
	}
	sv.read, sv.drafts = nil, nil
	return nil
}

// adopt counts what a page holds, whose fingerprints are those of its base and
// behind them those of its deltas.
func (p *page) adopt() {
	base := slices.Clone(p.prints[:p.keys])
	slices.Sort(base)
	had := len(slices.Compact(base))
	slices.Sort(p.prints)
	p.prints = slices.Compact(p.prints)
	added := len(p.prints) - had
	p.live = p.base
	if p.keys > 0 {
		p.live += p.base * int64(added) / int64(p.keys)
	} else {
		p.live = p.bytes
	}
	p.keys += int32(added)
}

// compare compares what is there with what the root says must be: so nothing is
// missing in silence.
func (sv *survey) compare() error {
	for i := range sv.root.of {
		if got, want := sv.views[i].tally, sv.root.of[i].tally; got != want {
			err := fmt.Errorf("%w: %d entries of %d bytes (sum %016x), must be %d of %d (sum %016x)", ErrCorrupt,
				got.records, got.bytes, got.sum, want.records, want.bytes, want.sum)
			if err := sv.report(fmt.Sprintf("unit %d", i), err); err != nil {
				return err
			}
		}
	}
	for name, b := range sv.root.blobs {
		var got tally
		for _, s := range b.spots {
			got.plus(sv.pieces[s])
		}
		if got != b.tally {
			name, _ := strings.CutPrefix(name, callerBlob(""))
			err := fmt.Errorf("%w: %d pieces of %d bytes, must be %d of %d", ErrCorrupt, got.records, got.bytes, b.tally.records, b.tally.bytes)
			if err := sv.report(fmt.Sprintf("blob %q", name), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// view returns what the root says, with a snapshot.
func (sv *survey) view(now *snapshot) (*view, error) {
	v := &view{
		snapshot: now, generation: sv.root.generation, previous: sv.root.previous,
		units: sv.views, segments: sv.segments, blobs: sv.root.blobs, shared: sv.shared,
	}
	return v, v.readFlip()
}

// waste returns the segments that nobody reads: those before the first one in force
// are a run, the rest stand by themselves, but for the one with the root.
func (sv *survey) waste(w *waste) (extra uint32) {
	w.until = sv.rootAt
	if len(sv.segments) > 0 {
		w.until = min(w.until, sv.segments[0].id)
	}
	w.from = w.until
	for _, seg := range sv.stray {
		switch {
		case seg.id == sv.rootAt:
			extra = seg.id
			continue
		case seg.id < w.until:
			w.from = min(w.from, seg.id)
		default:
			w.orphans = append(w.orphans, seg.id)
		}
		w.bytes.Add(seg.total)
	}
	return extra
}

// String says which page it is.
func (at place) String() string {
	return fmt.Sprintf("unit %d, table %d, page %d", at.unit, at.table, at.page)
}
