package state

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// edit changes a closed store behind its back; keys are those of its pages'
// records.
func edit(do func(txn *badger.Txn, keys [][]byte) error) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		db, err := openBadger(badgerOptions(filepath.Join(dir, storeDir), LeastMemory, slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(txn *badger.Txn) error {
			var keys [][]byte
			it := newIterator(txn, []byte{prefixPage})
			for it.Rewind(); it.Valid(); it.Next() {
				keys = append(keys, it.Item().KeyCopy(nil))
			}
			it.Close()
			return do(txn, keys)
		})
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStoreThatIsNotTheLastOneIsPutAside(t *testing.T) {
	if !apart(t) {
		return
	}
	killed, closed, older := newRuins(t)
	store := func(dir string) string { return filepath.Join(dir, storeDir) }
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, ruin := range map[string]func(t *testing.T, dir string){
		"emptied": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(store(dir)))
			must(t, os.Mkdir(store(dir), 0o700))
		},
		"gone": func(t *testing.T, dir string) { must(t, os.RemoveAll(store(dir))) },
		"an older copy put back": func(t *testing.T, dir string) {
			mine, err := os.ReadFile(filepath.Join(dir, sidecarFile))
			must(t, err)
			must(t, os.RemoveAll(dir))
			copyState(t, older.dir, dir)
			must(t, os.WriteFile(filepath.Join(dir, sidecarFile), mine, 0o600))
		},
		"another store": func(t *testing.T, dir string) {
			other := t.TempDir()
			must(t, os.RemoveAll(store(dir)))
			s := mustOpen(t, testConfig(other))
			for range 20 { // it is further than the one whose place it takes
				must(t, s.Begin(nil).Commit(t.Context(), Flip{Tick: 5}))
			}
			must(t, s.Close())
			must(t, os.Remove(filepath.Join(dir, sidecarFile)))
			mine, err := os.ReadFile(filepath.Join(closed.dir, sidecarFile))
			must(t, err)
			copyState(t, other, dir)
			must(t, os.WriteFile(filepath.Join(dir, sidecarFile), mine, 0o600))
		},
		"a new one in its place": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(store(dir)))
			s := &Store{cfg: testConfig(dir), log: slog.New(slog.DiscardHandler), path: store(dir), disk: &disk{}}
			must(t, s.make("another"))
			must(t, s.Close())
		},
		"a record of a page missing": edit(func(txn *badger.Txn, keys [][]byte) error { return txn.Delete(keys[0]) }),
		"the last record of a page missing": edit(func(txn *badger.Txn, keys [][]byte) error {
			for i, k := range keys {
				if i+1 < len(keys) && !bytes.Equal(k[:9], keys[i+1][:9]) && i > 0 && bytes.Equal(k[:9], keys[i-1][:9]) {
					return txn.Delete(k)
				}
			}
			return errors.New("no page has two records")
		}),
		"all records of a page missing": edit(func(txn *badger.Txn, keys [][]byte) (err error) {
			for _, k := range keys {
				if bytes.Equal(k[:9], keys[0][:9]) {
					err = errors.Join(err, txn.Delete(k))
				}
			}
			return err
		}),
		"a record twice": edit(func(txn *badger.Txn, keys [][]byte) error {
			item, err := txn.Get(keys[0])
			if err != nil {
				return err
			}
			record, err := item.ValueCopy(nil)
			at, generation, part, _ := parsePageKey(keys[0])
			return errors.Join(err, txn.Set(at.record(nil, generation, part+1), record))
		}),
		"a record in the place of another": edit(func(txn *badger.Txn, keys [][]byte) error {
			item, err := txn.Get(keys[0])
			if err != nil {
				return err
			}
			record, err := item.ValueCopy(nil)
			return errors.Join(err, txn.Set(keys[len(keys)-1], record))
		}),
		"a record that ends early": edit(func(txn *badger.Txn, keys [][]byte) error { return txn.Set(keys[0], nil) }),
		"a unit's entry missing":   edit(func(txn *badger.Txn, _ [][]byte) error { return txn.Delete(unitKey(2)) }),
		"the root missing":         edit(func(txn *badger.Txn, _ [][]byte) error { return txn.Delete(rootKey()) }),
		"a piece of a blob missing": edit(func(txn *badger.Txn, _ [][]byte) error {
			it := newIterator(txn, []byte{prefixBlob})
			defer it.Close()
			it.Rewind()
			return txn.Delete(it.Item().KeyCopy(nil))
		}),
		"a record of no known kind": edit(func(txn *badger.Txn, _ [][]byte) error { return txn.Set([]byte("x"), nil) }),
		"without its sidecar":       func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, sidecarFile))) },
		"too many starts that ended the process": func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, attemptFile), []byte("3\n"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := closed.copy(t)
			ruin(t, dir)
			if !closed.opens(t, dir) {
				t.Error("it was not put aside")
			}
		})
	}
	for name, harmless := range map[string]func(t *testing.T, dir string){
		"an older sidecar": func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(older.dir, sidecarFile))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, sidecarFile), b, 0o600))
		},
		"a memtable made and not sized": func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(store(dir), "00099.mem"), nil, 0o600))
		},
		"a start that ended the process": func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, attemptFile), []byte("1\n"), 0o600))
		},
		"a table half written": func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(store(dir), "000099.sst"), []byte("half"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := killed.copy(t)
			harmless(t, dir)
			if killed.opens(t, dir) {
				t.Error("it was put aside")
			}
		})
	}
}

func TestTheNewestTwoDamagedStoresAreKept(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		s := mustOpen(t, testConfig(dir))
		if (s.Broken() != "") != (i > 0) {
			t.Fatalf("start %d: %q", i, s.Broken())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, sidecarFile), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Look(t.Context(), dir, nil)
	if err != nil || len(report.Faults) == 0 {
		t.Fatalf("faults %v, error %v", report.Faults, err)
	}
	if want := []string{asidePath(dir, 2), asidePath(dir, 3)}; !slices.Equal(report.Aside, want) {
		t.Errorf("aside stand %v, must be %v", report.Aside, want)
	}
}

func TestAStoreThatIsNotOursIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, testConfig(dir))
	if _, err := Open(t.Context(), testConfig(dir)); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("a store that is open: error %v", err)
	}
	if err := s.Begin(nil).Commit(t.Context(), Flip{Tick: 7}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := digest(t, dir)
	for want, change := range map[string]func(*Config){
		"it has 4 units, and is to be opened with 8": func(c *Config) { c.Units = 8 },
		`"a key", and is to be opened with "other"`:  func(c *Config) { c.KeyID = "other" },
	} {
		cfg := testConfig(dir)
		change(&cfg)
		if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, must have %q", err, want)
		}
	}
	if after := digest(t, dir); !maps.Equal(before, after) {
		t.Errorf("refusing changed it: %v, was %v", after, before)
	}
	side, err := readSidecar(dir)
	if err != nil {
		t.Fatal(err)
	}
	side.Format = Format + 1
	if err := side.write(dir); err != nil {
		t.Fatal(err)
	}
	const want = "it is of format 2, this version of weir reads up to 1"
	if _, err := Open(t.Context(), testConfig(dir)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, must have %q", err, want)
	}
	if _, err := Look(t.Context(), dir, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("looking: error %v", err)
	}
	if _, _, err := Compact(t.Context(), dir); !errors.Is(err, ErrRefused) {
		t.Errorf("compacting: error %v", err)
	}
}

func TestWhatTheEnvironmentRefusesIsNoDamage(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("opening: %w", unix.EMFILE),
		&os.PathError{Op: "open", Path: "MANIFEST", Err: unix.EACCES},
		errors.New("While opening fid: 3 err: no space left on device"),
	} {
		if got := corrupt(err); errors.Is(got, ErrCorrupt) {
			t.Errorf("%v is taken for damage", got)
		}
	}
	for _, err := range []error{errors.New("CHECKSUM_MISMATCH"), unix.EIO, os.ErrNotExist} {
		if got := corrupt(err); !errors.Is(got, ErrCorrupt) {
			t.Errorf("%v is not taken for damage", got)
		}
	}
}
