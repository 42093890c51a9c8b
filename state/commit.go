package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weir/internal/failpoint"
)

// commit makes what was written the state.
func (w *writer) commit(ctx context.Context, f Flip) error {
	if err := w.finish(ctx, f); err != nil {
		return err
	}
	failpoint.Hit("state.records.written")
	began := time.Now()
	err := w.s.sync()
	w.idle += time.Since(began)
	if err != nil {
		return fmt.Errorf("syncing its records: %w", err)
	}
	failpoint.Hit("state.records.synced")
	if err := errors.Join(w.s.disk.check(), ctx.Err()); err != nil {
		return err
	}
	next, err := w.view()
	if err != nil {
		return err
	}
	failpoint.Hit("state.flip.before")
	if err := w.s.flip(next, w.at.segment); err != nil {
		return errors.Join(err, w.s.restore(w.from))
	}
	w.committed = true
	w.s.record(next)
	failpoint.Hit("state.sidecar.written")
	w.giveUp(next)
	w.s.ahead.look()
	next.snapshot = w.s.snapshot()
	w.s.publish(newView(next, &w.s.views))
	w.s.blocks.Store(blocks(w.s.path))
	return nil
}

// giveUp takes note of the segments that are not in force any more.
func (w *writer) giveUp(next *view) {
	s := w.s
	s.waste.until = next.segments[0].id
	for _, seg := range w.from.segments {
		if seg.id < s.waste.until {
			s.waste.bytes.Add(seg.total)
		}
	}
	if s.extra != 0 {
		s.waste.orphans = append(s.waste.orphans, s.extra)
		s.extra = 0
	}
	s.waste.orphans = slices.DeleteFunc(s.waste.orphans, func(id uint32) bool { return id < s.waste.until })
}

// finish writes what belongs to the checkpoint besides what was put.
func (w *writer) finish(ctx context.Context, f Flip) error {
	if err := errors.Join(w.s.disk.check(), ctx.Err()); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("writing its records: %w", err)
	}
	now := w.s.snapshot()
	defer now.close()
	if err := w.resize(now); err != nil {
		return fmt.Errorf("splitting pages: %w", err)
	}
	if err := w.clean(ctx); err != nil {
		return fmt.Errorf("dropping what is over: %w", err)
	}
	if err := w.empty(ctx); err != nil {
		return fmt.Errorf("emptying segments: %w", err)
	}
	w.flip = encodeFlip(f)
	if err := w.blob(flipBlob, w.flip); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("writing its records: %w", err)
	}
	return ctx.Err()
}

// view returns what will be in force. Its snapshot is still to be made. The oldest
// segments go that nothing is alive in; those behind one with something alive wait
// until it is emptied, too.
func (w *writer) view() (*view, error) {
	for w.segments[0].live == 0 && w.segments[0].id < w.first {
		w.segments = w.segments[1:]
	}
	w.leaf.close()
	v := &view{
		segments:   w.segments,
		generation: w.generation,
		previous:   w.from.generation,
		units:      make([]unitView, len(w.units)),
		blobs:      w.blobs,
		shared:     w.shared,
	}
	for i := range w.units {
		d := &w.units[i]
		u := unitView{tally: d.tally, tables: w.from.units[i].tables}
		if len(d.tables) > 0 {
			u.tables = maps.Clone(u.tables)
			if u.tables == nil {
				u.tables = map[uint16]*tableView{}
			}
		}
		for id, t := range d.tables {
			if t.empty() {
				delete(u.tables, id)
			} else {
				u.tables[id] = &t.tableView
			}
		}
		v.units[i] = u
	}
	var err error
	v.flip, err = decodeFlip(w.flip) // a copy: the caller may use his bytes again
	return v, err
}

// flip puts a view into force on disk: one small transaction, synced. The root
// stands behind the last chunk of the segment. It is in force with its first piece;
// those behind that, of which a transaction may not hold as many as there are, are
// synced before.
func (s *Store) flip(v *view, segment uint32) error {
	record := s.root(v).encode()
	if most := (math.MaxUint16 - rootNumber + 1) * partBytes; len(record) > most {
		return fmt.Errorf("generation %d: a root of %d bytes, must be at most %d: the store has too many tables", v.generation, len(record), most)
	}
	pieces := slices.Collect(slices.Chunk(record, partBytes))
	size := int64(len(record) + len(pieces)*chunkKeyLen)
	if err := s.putPieces(pieces[1:], segment); err != nil {
		return fmt.Errorf("writing what generation %d is: %w", v.generation, err)
	}
	err := s.db.Update(func(txn *badger.Txn) error {
		return txn.Set(appendChunkKey(nil, segment, rootNumber), pieces[0])
	})
	if err != nil {
		return fmt.Errorf("putting generation %d into force: %w", v.generation, err)
	}
	failpoint.Hit("state.flip.after")
	if err := s.sync(); err != nil {
		return fmt.Errorf("syncing generation %d: %w", v.generation, err)
	}
	failpoint.Hit("state.flip.synced")
	s.written.Add(size)
	if seg, ok := v.segments.find(segment); ok {
		seg.total += size
	}
	return nil
}

// putPieces writes all pieces of a root but the first, and syncs them.
func (s *Store) putPieces(pieces [][]byte, segment uint32) error {
	if len(pieces) == 0 {
		return nil
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for i, piece := range pieces {
		if err := batch.Set(appendChunkKey(nil, segment, uint16(rootNumber+1+i)), piece); err != nil {
			return err
		}
	}
	return errors.Join(batch.Flush(), s.sync())
}

// root returns what is to be written of a view.
func (s *Store) root(v *view) *root {
	r := &root{
		id: s.id, format: Format, units: s.cfg.Units, keyID: s.cfg.KeyID,
		generation: v.generation, previous: v.previous, tick: v.flip.Tick, blobs: v.blobs,
	}
	for _, seg := range v.segments {
		r.segments = append(r.segments, seg.id)
	}
	for i := range v.units {
		u := unitRoot{tally: v.units[i].tally, tables: map[uint16]tableRoot{}}
		for id, t := range v.units[i].tables {
			u.tables[id] = tableRoot{pages: t.pages, since: t.since}
		}
		r.of = append(r.of, u)
	}
	return r
}

// restore puts the view before back into force, when it is not sure whether the
// next one is. Where that fails too nothing may be written any more, for nobody
// can say what it would stand behind.
func (s *Store) restore(v *view) error {
	id, err := s.nextSegment()
	if err == nil {
		err = s.flip(v, id)
	}
	if err != nil {
		return s.poison(fmt.Errorf("the checkpoint before could not be put back into force: %w", err))
	}
	if s.extra != 0 {
		s.waste.orphans = append(s.waste.orphans, s.extra)
	}
	s.extra = id
	return nil
}

// poison has nothing be written any more.
func (s *Store) poison(why error) error {
	err := fmt.Errorf("the store must be opened again: %w", why)
	s.mu.Lock()
	s.poisoned = err
	s.mu.Unlock()
	return err
}

// record writes the sidecar. The flip is on disk, so an older sidecar does no
// harm; it is written again with the next checkpoint.
func (s *Store) record(v *view) {
	if s.cfg.Temporary {
		return
	}
	if err := s.sidecar(v).write(s.cfg.Dir); err != nil {
		s.log.Error("the store's sidecar could not be written", "file", sidecarFile, "generation", v.generation, "error", err)
	}
}

func (s *Store) sidecar(v *view) sidecar {
	return sidecar{ID: s.id, Format: Format, Units: s.cfg.Units, KeyID: s.cfg.KeyID, Generation: v.generation, Tick: v.flip.Tick}
}

// sync puts all that was written on disk.
func (s *Store) sync() error {
	switch {
	case s.cfg.Temporary:
		return nil
	case s.cfg.sync != nil:
		return s.cfg.sync(s.path)
	}
	if err := s.db.Sync(); err != nil {
		return err
	}
	return syncLogs(s.path)
}
