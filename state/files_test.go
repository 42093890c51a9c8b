package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A store has hardly more tables than its bytes fill, so that it can be said
// beforehand how many files it opens.
func TestAStoreHasNoMoreFilesThanItsBytesFill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir, Units: 1, KeyID: "k", Memory: LeastMemory, Reserve: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 12 {
		c, ch := s.Begin(keepTest), changes{}
		for range 15_000 {
			ch.set(s, 0, 1, randomKey(rng, 0), bytes.Repeat([]byte{byte(rng.Uint32())}, 100))
		}
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, storeDir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(tables))
	if most := (st.Bytes+st.Garbage)/memtable(leastTable) + 4; n < 5 || n > most {
		t.Errorf("%d tables of %d bytes, must be at most %d", n, st.Bytes+st.Garbage, most)
	}
	if most := s.cfg.Files(st.Bytes); n > most || most < n/2 || s.cfg.Files(100*st.Bytes) < 100*n {
		t.Errorf("%d tables, at most %d are foretold; of a hundred times as many bytes %d", n, most, s.cfg.Files(100*st.Bytes))
	}
}

// A page that cannot be read, or merged, for too many files is not what is wrong.
func TestTooManyFilesAreNoFaultOfAPage(t *testing.T) {
	at := place{unit: 3, table: 1, page: 4}
	for _, err := range []error{
		&fs.PathError{Op: "open", Path: "000001.sst", Err: unix.EMFILE}, fmt.Errorf("reading: %w", unix.ENFILE), fewFiles("3 more can be opened"),
	} {
		got := at.wrap(err)
		if !errors.Is(got, errFewFiles) || strings.Contains(got.Error(), "page 4") || strings.Count(got.Error(), "LimitNOFILE=") != 1 {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	if got := at.wrap(unix.EIO); errors.Is(got, errFewFiles) || !strings.Contains(got.Error(), "page 4") {
		t.Errorf("another error becomes %v", got)
	}
}
