package state

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/dgraph-io/badger/v4"

	"weir/internal/failpoint"
)

// commit makes what was written the state.
func (w *writer) commit(ctx context.Context, f Flip) error {
	if err := w.finish(ctx, f); err != nil {
		return err
	}
	failpoint.Hit("state.records.written")
	if err := w.s.sync(); err != nil {
		return fmt.Errorf("syncing its records: %w", err)
	}
	failpoint.Hit("state.records.synced")
	if err := errors.Join(w.s.disk.check(), ctx.Err()); err != nil {
		return err
	}
	next, err := w.view(f)
	if err != nil {
		return err
	}
	failpoint.Hit("state.flip.before")
	if err := w.s.flip(next); err != nil {
		return errors.Join(err, w.s.restore(w.from))
	}
	w.committed = true
	w.s.record(next)
	failpoint.Hit("state.sidecar.written")
	next.txn = w.s.db.NewTransaction(false)
	w.s.publish(newView(next, &w.s.views))
	w.s.discard(w.superseded)
	failpoint.Hit("state.superseded.deleted")
	w.s.blocks.Store(blocks(w.s.path))
	return nil
}

// finish writes what belongs to the checkpoint besides what was put.
func (w *writer) finish(ctx context.Context, f Flip) error {
	if err := errors.Join(w.s.disk.check(), ctx.Err()); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("writing its records: %w", err)
	}
	txn := w.s.db.NewTransaction(false)
	defer txn.Discard()
	if err := w.open(); err != nil {
		return err
	}
	if err := w.resize(txn); err != nil {
		return fmt.Errorf("splitting pages: %w", err)
	}
	if err := w.clean(ctx); err != nil {
		return fmt.Errorf("dropping what is over: %w", err)
	}
	parts, size := blobRecords(encodeFlip(f))
	if err := w.blob(flipBlob, parts, size); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("writing its records: %w", err)
	}
	return ctx.Err()
}

// view returns what will be in force. Its transaction is still to be made.
func (w *writer) view(f Flip) (*view, error) {
	v := &view{
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
				u.tables[id] = t.tableView
			}
		}
		v.units[i] = u
	}
	var err error
	v.flip, err = decodeFlip(encodeFlip(f)) // a copy: the caller may use his bytes again
	return v, err
}

// empty reports whether a table has no record.
func (t *tableView) empty() bool {
	for _, p := range t.pages {
		if p != nil {
			return false
		}
	}
	return true
}

// flip puts a view into force on disk: one small transaction, synced.
func (s *Store) flip(v *view) error {
	err := s.db.Update(func(txn *badger.Txn) error {
		root := root{
			id: s.id, format: Format, units: s.cfg.Units, keyID: s.cfg.KeyID,
			generation: v.generation, previous: v.previous, tick: v.flip.Tick, blobs: v.blobs,
		}
		if err := txn.Set(rootKey(), root.encode()); err != nil {
			return err
		}
		for i := range v.units {
			u := unitRoot{generation: v.generation, tick: v.flip.Tick, tally: v.units[i].tally, tables: map[uint16]tableRoot{}}
			for id, t := range v.units[i].tables {
				u.tables[id] = tableRoot{pages: len(t.pages), since: t.since}
			}
			if err := txn.Set(unitKey(i), u.encode()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("putting generation %d into force: %w", v.generation, err)
	}
	failpoint.Hit("state.flip.after")
	if err := s.sync(); err != nil {
		return fmt.Errorf("syncing generation %d: %w", v.generation, err)
	}
	failpoint.Hit("state.flip.synced")
	return nil
}

// restore puts the view before back into force, when it is not sure whether the
// next one is. Where that fails too nothing may be written any more, for nobody
// can say what it would stand behind.
func (s *Store) restore(v *view) error {
	if err := s.flip(v); err != nil {
		err = fmt.Errorf("the store must be opened again: the checkpoint before could not be put back into force: %w", err)
		s.mu.Lock()
		s.poisoned = err
		s.mu.Unlock()
		return err
	}
	return nil
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
