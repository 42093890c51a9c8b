package state

import (
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

// inside is a closed store that is opened behind its back.
type inside struct {
	*badger.Txn
	root   *root
	rootAt uint32
	pages  [][]spot // of those that have more than one entry
	latest spot     // the newest entry of all pages
}

func (in *inside) key(s spot) []byte { return appendChunkKey(nil, s.segment, s.number) }

// record returns a copy of a chunk's record.
func (in *inside) record(s spot) ([]byte, error) {
	item, err := in.Get(in.key(s))
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// edit changes a closed store behind its back.
func edit(do func(in *inside) error) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		db, err := openBadger(badgerOptions(filepath.Join(dir, storeDir), leastTable, slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		sv := &survey{db: db}
		if err := errors.Join(sv.roots(), sv.run()); err != nil {
			t.Fatal(err)
		}
		in := &inside{root: sv.root, rootAt: sv.rootAt}
		for i := range sv.views {
			for _, table := range sv.views[i].tables {
				for _, p := range table.each() {
					if len(p.spots) > 1 {
						in.pages = append(in.pages, slices.Clone(p.spots))
					}
					if last := p.spots[len(p.spots)-1]; last.segment > in.latest.segment || last.segment == in.latest.segment && last.number > in.latest.number {
						in.latest = last
					}
				}
			}
		}
		if len(in.pages) == 0 {
			t.Fatal("no page has two entries")
		}
		err = db.Update(func(txn *badger.Txn) error {
			in.Txn = txn
			return do(in)
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
		"the base of a page missing": edit(func(in *inside) error { return in.Delete(in.key(in.pages[0][0])) }),
		"the last change of a page missing": edit(func(in *inside) error {
			return in.Delete(in.key(in.pages[0][len(in.pages[0])-1]))
		}),
		"all of a page missing": edit(func(in *inside) (err error) {
			for _, s := range in.pages[0] {
				err = errors.Join(err, in.Delete(in.key(s)))
			}
			return err
		}),
		"a chunk twice": edit(func(in *inside) error {
			record, err := in.record(in.latest)
			return errors.Join(err, in.Set(appendChunkKey(nil, in.latest.segment, in.latest.number+1000), record))
		}),
		"changes twice": edit(func(in *inside) error {
			record, err := in.record(in.latest)
			if err != nil {
				return err
			}
			entries, err := openChunk(record, in.latest.segment, in.latest.number, nil)
			b := packChunk(in.latest.segment, in.latest.number+1000, entries, new([]byte))
			return errors.Join(err, in.Set(appendChunkKey(nil, in.latest.segment, in.latest.number+1000), b))
		}),
		"a chunk in the place of another": edit(func(in *inside) error {
			record, err := in.record(in.pages[0][0])
			return errors.Join(err, in.Set(in.key(in.latest), record))
		}),
		"an older chunk as if it were another": edit(func(in *inside) error {
			s := in.pages[0][0]
			record, err := in.record(s)
			if err != nil {
				return err
			}
			entries, err := openChunk(record, s.segment, s.number, nil)
			b := packChunk(in.latest.segment, in.latest.number, entries, new([]byte))
			return errors.Join(err, in.Set(in.key(in.latest), b))
		}),
		"a chunk that ends early": edit(func(in *inside) error { return in.Set(in.key(in.latest), nil) }),
		"a chunk cut between two entries": edit(func(in *inside) error {
			for _, spots := range in.pages {
				record, err := in.record(spots[len(spots)-1])
				if err != nil {
					return err
				}
				s := spots[len(spots)-1]
				entries, err := openChunk(record, s.segment, s.number, nil)
				if err != nil {
					return err
				}
				e, rest, err := nextEntry(entries)
				if err != nil || len(rest) == 0 {
					continue
				}
				return in.Set(in.key(s), packChunk(s.segment, s.number, e.all, new([]byte)))
			}
			return errors.New("no chunk has two entries")
		}),
		"the root missing": edit(func(in *inside) error { return in.Delete(appendChunkKey(nil, in.rootAt, rootNumber)) }),
		"a root that ends early": edit(func(in *inside) error {
			return in.Set(appendChunkKey(nil, in.rootAt, rootNumber), in.root.encode()[:20])
		}),
		"a root with a piece too many": edit(func(in *inside) error {
			return in.Set(appendChunkKey(nil, in.rootAt, rootNumber+1), []byte("more"))
		}),
		"a piece of a blob missing": edit(func(in *inside) error {
			return in.Delete(in.key(in.root.blobs[callerBlob("facts")].spots[0]))
		}),
		"a record of no known kind": edit(func(in *inside) error { return in.Set([]byte("x"), nil) }),
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
	for _, format := range []int{0, 1, 2, Format + 1} { // older ones, too: one that is misread would be put aside
		side.Format = format
		if err := side.write(dir); err != nil {
			t.Fatal(err)
		}
		before := digest(t, dir)
		want := fmt.Sprintf("it is of format %d, this version of weir reads 3", format)
		if _, err := Open(t.Context(), testConfig(dir)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, must have %q", err, want)
		}
		if _, err := Look(t.Context(), dir, nil); !errors.Is(err, ErrRefused) {
			t.Errorf("looking: error %v", err)
		}
		if _, _, err := Compact(t.Context(), dir, 0); !errors.Is(err, ErrRefused) {
			t.Errorf("compacting: error %v", err)
		}
		if after := digest(t, dir); !maps.Equal(before, after) {
			t.Errorf("refusing changed it: %v, was %v", after, before)
		}
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
