package state

import (
	"errors"
	"fmt"
	"slices"

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
	// each is called with the live values of each page; nil: nobody asks.
	each func(at place, live []change)

	root    *root
	units   []*unitRoot
	views   []unitView
	shared  tally
	pieces  map[[2]uint64]tally // of each blob, by generation and number
	orphans []string            // records that nobody reads
	latest  uint64              // the highest generation of any record

	page paged
}

// paged is the page that the pass is at.
type paged struct {
	at     place
	open   bool
	reader reader
	keys   []string // of the records in reader
	page   page
	last   uint64 // the generation of the last record
	bad    error  // why a record cannot be read that may be in force
}

// report passes a fault on.
func (sv *survey) report(where string, err error) error {
	if sv.fault != nil {
		sv.fault(where, err)
		return nil
	}
	return fmt.Errorf("%s: %w", where, corrupt(err))
}

// roots reads what is in force.
func (sv *survey) roots() error {
	txn := sv.db.NewTransaction(false)
	defer txn.Discard()
	body, err := value(txn, rootKey())
	if err != nil || body == nil {
		return corrupt(err)
	}
	if sv.root, err = decodeRoot(body); err != nil {
		return corrupt(err)
	}
	if sv.root.format != Format {
		return fmt.Errorf("%w: its root is of format %d, must be %d", ErrCorrupt, sv.root.format, Format)
	}
	if sv.unitCount == 0 {
		sv.unitCount = sv.root.units
	}
	for i := range sv.unitCount {
		body, err := value(txn, unitKey(i))
		if err != nil {
			return corrupt(fmt.Errorf("unit %d: %w", i, err))
		}
		if body == nil {
			return fmt.Errorf("%w: unit %d has no entry", ErrCorrupt, i)
		}
		u, err := decodeUnitRoot(body)
		if err != nil {
			return fmt.Errorf("unit %d: %w", i, err)
		}
		if u.generation != sv.root.generation || u.tick != sv.root.tick {
			return fmt.Errorf("%w: unit %d is of generation %d and tick %d, must be %d and %d", ErrCorrupt, i, u.generation, u.tick, sv.root.generation, sv.root.tick)
		}
		sv.units = append(sv.units, u)
	}
	return nil
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
	for i, u := range sv.units {
		sv.views[i].tables = make(map[uint16]*tableView, len(u.tables))
		for id, t := range u.tables {
			if t.pages > 1<<26 { // 512 GiB of pages: the entry has been checked, so this is no store of ours
				return fmt.Errorf("%w: unit %d, table %d has %d pages", ErrCorrupt, i, id, t.pages)
			}
			sv.views[i].tables[id] = &tableView{since: t.since, pages: make([]*page, t.pages)}
		}
	}
	sv.pieces = map[[2]uint64]tally{}
	txn := sv.db.NewTransaction(false)
	defer txn.Discard()
	it := newIterator(txn, nil)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if err := item.Value(func(record []byte) error { return sv.record(key, record) }); err != nil {
			return corrupt(err)
		}
	}
	return sv.endPage()
}

// record looks at one record.
func (sv *survey) record(key, record []byte) error {
	if at, generation, part, ok := parsePageKey(key); ok {
		return sv.pageRecord(at, generation, part, key, record)
	}
	if err := sv.endPage(); err != nil {
		return err
	}
	if generation, number, _, ok := parseBlobKey(key); ok {
		return sv.piece(generation, number, key, record)
	}
	if len(key) == 1 && key[0] == prefixRoot || len(key) == 3 && key[0] == prefixUnit {
		return nil
	}
	return sv.report(fmt.Sprintf("record %x", key), fmt.Errorf("%w: a record of no known kind", ErrCorrupt))
}

// piece looks at a piece of a blob.
func (sv *survey) piece(generation uint64, number uint32, key, record []byte) error {
	sv.latest = max(sv.latest, generation)
	id := [2]uint64{generation, uint64(number)}
	inForce := slices.ContainsFunc(sv.named(), func(b blob) bool { return b.generation == generation && b.number == number })
	if !inForce {
		sv.orphans = append(sv.orphans, string(key))
		return nil
	}
	if _, _, err := ReadRecord(record, recordVersion); err != nil {
		return sv.report(fmt.Sprintf("blob %d of generation %d", number, generation), err)
	}
	t := sv.pieces[id]
	t.add(key, record)
	sv.pieces[id] = t
	sv.shared.add(key, record)
	return nil
}

// pageRecord looks at a page's record.
func (sv *survey) pageRecord(at place, generation uint64, part int, key, record []byte) error {
	p := &sv.page
	if !p.open || p.at != at {
		if err := sv.endPage(); err != nil {
			return err
		}
		*p = paged{at: at, open: true, reader: p.reader, keys: p.keys[:0]}
		p.reader.reset()
	}
	sv.latest = max(sv.latest, generation)
	if !sv.inForce(at, generation) {
		sv.orphans = append(sv.orphans, string(key))
		return nil
	}
	body, _, err := ReadRecord(record, recordVersion)
	var kind byte
	var changes []byte
	if err == nil {
		kind, changes, err = kindOf(body)
	}
	if err != nil { // a base behind it may say that it is over
		p.bad = errors.Join(p.bad, fmt.Errorf("generation %d, part %d: %w", generation, part, err))
		return nil
	}
	if kind == kindBase && generation != p.page.first {
		sv.orphans = append(sv.orphans, p.keys...)
		p.keys, p.bad, p.page = p.keys[:0], nil, page{first: generation}
		p.reader.reset()
	}
	if kind == kindDelta && generation != p.last {
		p.page.deltas++
	}
	p.last = generation
	p.keys = append(p.keys, string(key))
	p.page.add(key, record)
	if generation == p.page.first {
		p.page.base = p.page.bytes
	}
	p.reader.arena = append(p.reader.arena, changes...)
	p.reader.ends = append(p.reader.ends, len(p.reader.arena))
	return nil
}

// inForce reports whether records of a page and generation may count.
func (sv *survey) inForce(at place, generation uint64) bool {
	if at.unit >= len(sv.units) {
		return false
	}
	t, ok := sv.units[at.unit].tables[at.table]
	return ok && int(at.page) < t.pages && generation >= t.since && generation <= sv.root.generation
}

// endPage takes a page that was read into the directory.
func (sv *survey) endPage() error {
	p := &sv.page
	if !p.open {
		return nil
	}
	p.open = false
	if p.bad != nil {
		return sv.report(p.at.String(), p.bad)
	}
	if len(p.keys) == 0 {
		return nil
	}
	if p.page.first == 0 {
		return sv.report(p.at.String(), fmt.Errorf("%w: %d records without a base", ErrCorrupt, len(p.keys)))
	}
	r := &p.reader
	r.seal()
	live, err := resolve(r.live[:0], r.bodies)
	if r.live = live; err != nil {
		return sv.report(p.at.String(), err)
	}
	t := sv.views[p.at.unit].tables[p.at.table]
	prints := make([]uint16, len(live))
	for i, c := range live {
		h := hash(c.key)
		if to := pageOf(h, len(t.pages)); to != p.at.page {
			return sv.report(p.at.String(), fmt.Errorf("%w: key %016x%016x belongs to page %d", ErrCorrupt, c.key.Hi, c.key.Lo, to))
		}
		prints[i] = printOf(h)
		p.page.live += c.size()
	}
	slices.Sort(prints)
	done := p.page
	done.prints = slices.Clip(slices.Compact(prints))
	done.keys = len(live)
	_, in := t.set(p.at.page, &done)
	sv.views[p.at.unit].plus(in)
	if sv.each != nil {
		sv.each(p.at, live)
	}
	return nil
}

// named returns the blobs in force.
func (sv *survey) named() []blob {
	out := make([]blob, 0, len(sv.root.blobs))
	for _, b := range sv.root.blobs {
		out = append(out, b)
	}
	return out
}

// compare compares what is there with what the root says must be: so nothing is
// missing in silence.
func (sv *survey) compare() error {
	for i, u := range sv.units {
		if got := sv.views[i].tally; got != u.tally {
			err := fmt.Errorf("%w: %d records of %d bytes (sum %016x), must be %d of %d (sum %016x)", ErrCorrupt,
				got.records, got.bytes, got.sum, u.tally.records, u.tally.bytes, u.tally.sum)
			if err := sv.report(fmt.Sprintf("unit %d", i), err); err != nil {
				return err
			}
		}
	}
	for name, b := range sv.root.blobs {
		if got := sv.pieces[[2]uint64{b.generation, uint64(b.number)}]; got != b.tally {
			err := fmt.Errorf("%w: %d records of %d bytes, must be %d of %d", ErrCorrupt, got.records, got.bytes, b.tally.records, b.tally.bytes)
			if err := sv.report(fmt.Sprintf("blob %q", name), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// String says which page it is.
func (at place) String() string {
	return fmt.Sprintf("unit %d, table %d, page %d", at.unit, at.table, at.page)
}
