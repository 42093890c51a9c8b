package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// checkTables checks every table that Badger's manifest names, before Badger
// opens it: Badger opens them in goroutines of its own, where a damaged one is
// a panic that nobody can recover, and passes over one whose index is damaged.
func checkTables(dir string) error {
	manifest, err := readManifest(dir)
	if err != nil {
		return err
	}
	for id := range manifest.Tables {
		if err := checkTable(table.NewFilename(id, dir)); err != nil {
			return err
		}
	}
	return nil
}

// readManifest reads which tables Badger has.
func readManifest(dir string) (m badger.Manifest, err error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %s is missing", ErrCorrupt, badger.ManifestFilename)
	}
	if err != nil {
		return m, err
	}
	defer f.Close()
	err = guarded(func() error {
		m, _, err = badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
		return err
	})
	if err != nil {
		return m, corrupt(fmt.Errorf("%s: %w", badger.ManifestFilename, err))
	}
	return m, nil
}

// checkTable checks all blocks of a table.
func checkTable(path string) error {
	err := guarded(func() error {
		mapped, err := z.OpenMmapFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		t, err := table.OpenTable(mapped, table.Options{ChkMode: options.OnTableAndBlockRead})
		if err != nil {
			return err
		}
		return t.Close(-1)
	})
	if err != nil {
		return corrupt(fmt.Errorf("the table %s: %w", filepath.Base(path), err))
	}
	return nil
}
