package state

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// Last returns what the last checkpoint of the store in a state's directory was
// committed with, as an open store's Last does; ok is false where there is none.
// It changes nothing, and reads no more than the checksums of the store's files
// and that. The caller sees to it that nobody has the store open. An error wraps
// ErrCorrupt where opening the store would put it aside.
func Last(ctx context.Context, dir string) (last Flip, ok bool, err error) {
	path := filepath.Join(dir, storeDir)
	side, err := readSidecar(dir)
	if err != nil {
		return last, false, fmt.Errorf("the store %s: %w", path, err)
	}
	exists, err := inUse(path)
	switch {
	case err != nil:
		return last, false, fmt.Errorf("the store %s: %w", path, err)
	case side != nil && side.Format != Format:
		return last, false, refuseFormat(side.Format)
	case side == nil && !exists, side != nil && side.Generation == 0:
		return last, false, nil
	case side == nil:
		return last, false, fmt.Errorf("the store %s: %w: its sidecar %s is missing", path, ErrCorrupt, sidecarFile)
	case !exists:
		return last, false, fmt.Errorf("the store %s: %w: it is gone, and %s has generation %d of it", path, ErrCorrupt, sidecarFile, side.Generation)
	}
	if last, err = lastOf(ctx, dir, side); err != nil {
		return last, false, fmt.Errorf("the store %s: %w", path, err)
	}
	return last, true, nil
}

// lastOf reads it from links and copies of the store's files, which are removed
// again.
func lastOf(ctx context.Context, dir string, side *sidecar) (last Flip, err error) {
	path := filepath.Join(dir, storeDir)
	if err := checkTables(path); err != nil {
		return last, err // Badger would end the process on what is left
	}
	err = onDouble(ctx, dir, func(db *badger.DB, err error) error {
		if err != nil {
			return corrupt(err)
		}
		return guarded(func() error {
			sv := &survey{db: db}
			if err := sv.roots(); err != nil {
				return err
			}
			if err := sv.matches(side); err != nil {
				return err
			}
			now := &snapshot{txn: db.NewTransaction(false)}
			defer now.close()
			v, err := sv.view(now)
			last = v.flip
			return err
		})
	})
	return last, err
}
