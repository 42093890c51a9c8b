package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Compact writes all that is alive in the store of a state's directory anew, each
// page as a base, and has Badger let go of what was there before. It returns the
// blocks on disk before and after, in bytes. The caller sees to it that nobody
// has the store open; reserve is what is to stay free on the disk, 0: what the
// store thinks right. A store that is damaged is left as it is, with an error.
func Compact(ctx context.Context, dir string, reserve int64) (before, after int64, err error) {
	path := filepath.Join(dir, storeDir)
	fail := func(err error) (int64, int64, error) {
		return before, after, fmt.Errorf("compacting the store %s: %w", path, err)
	}
	side, err := readSidecar(dir)
	if err != nil {
		return fail(err)
	}
	exists, err := inUse(path)
	switch {
	case err != nil:
		return fail(err)
	case side == nil || !exists:
		return fail(fs.ErrNotExist)
	case side.Format != Format:
		return fail(refuseFormat(side.Format))
	}
	before = blocks(path)
	// Closing makes a table of what is in memory.
	for _, do := range []func(*Store, context.Context) error{(*Store).merge, (*Store).flatten} {
		if err := withStore(ctx, dir, reserve, do); err != nil {
			return fail(err)
		}
	}
	return before, blocks(path), nil
}

// withStore opens a store as its sidecar says, and closes it again.
func withStore(ctx context.Context, dir string, reserve int64, do func(*Store, context.Context) error) error {
	side, err := readSidecar(dir)
	if err != nil {
		return err
	}
	s, err := bare(Config{Dir: dir, Units: side.Units, KeyID: side.KeyID, Reserve: reserve})
	if err != nil {
		return err
	}
	if err := s.disk.check(); err != nil {
		return err
	}
	if err := s.load(side); err != nil {
		return err
	}
	return errors.Join(do(s, ctx), s.Close())
}

// merge commits the last checkpoint once more, with all that there is in new
// segments, and gives those before up.
func (s *Store) merge(ctx context.Context) error {
	last, ok := s.Last()
	if !ok {
		return nil
	}
	c := s.Begin(nil)
	err := c.enqueue(0, func(w *writer) error {
		w.tail = w.first
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.Commit(ctx, last); err != nil {
		return err
	}
	return s.drop()
}

// flattenRounds is how often Badger is asked to let go of what was deleted: a
// pass moves a level down at most.
const flattenRounds = 3

func (s *Store) flatten(ctx context.Context) error {
	for range flattenRounds {
		if err := errors.Join(ctx.Err(), s.disk.check()); err != nil {
			return err
		}
		if err := guarded(func() error { return s.db.Flatten(1) }); err != nil {
			return err
		}
	}
	return nil
}
