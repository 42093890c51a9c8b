package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// flushed waits until all is written that was put so far.
func flushed(t *testing.T, c *Checkpoint) {
	t.Helper()
	done := make(chan error, 1)
	err := c.enqueue(0, func(w *writer) error {
		err := w.flush()
		done <- err
		return err
	})
	if err == nil {
		err = <-done
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatWaitsIsNotWrittenWhenItIsGivenUp(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	c := s.Begin(nil)
	c.Pace(leastShare)
	const count = 4000
	ch := changes{}
	rng := rand.New(rand.NewPCG(12, 12))
	for id := range uint16(count) {
		ch.set(s, 0, id, randomKey(rng, 0), make([]byte, 1000))
	}
	ch.put(t, c)
	before := s.Stats().Written
	c.Abort()
	if wrote := s.Stats().Written - before; wrote > count*1000/2 {
		t.Errorf("%d of %d bytes were written of a checkpoint that nobody wants", wrote, count*1000)
	}
}

// manyTables has a value in so many tables of each unit that its root has several
// pieces.
func manyTables(t *testing.T, s *Store, tick int64) error {
	t.Helper()
	const tables = 1300
	c := s.Begin(nil)
	ch := changes{}
	rng := rand.New(rand.NewPCG(13, 13))
	for unit := range s.cfg.Units {
		for id := range uint16(tables) {
			ch.set(s, unit, id, randomKey(rng, 0), []byte{byte(tick)})
		}
	}
	ch.put(t, c)
	return c.Commit(t.Context(), Flip{Tick: tick})
}

func TestARootMayBeLargerThanATransaction(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	cfg.Units = 64
	syncs := 1 << 30
	cfg.sync = func(dir string) error {
		if syncs--; syncs < 0 {
			return errors.New("no such luck")
		}
		return syncLogs(dir)
	}
	s := mustOpen(t, cfg)
	if err := manyTables(t, s, 1); err != nil {
		t.Fatal(err)
	}
	if n := len(s.root(s.current.Load()).encode()); n < 256<<10 {
		t.Fatalf("a root of %d bytes: not much was tried", n)
	}
	check := func(want byte) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		syncs = 1 << 30
		s = mustOpen(t, cfg)
		if why := s.Broken(); why != "" {
			t.Fatal(why)
		}
		n := 0
		for unit := range cfg.Units {
			for i, id := range s.Unit(unit).Tables() {
				if n++; i%100 > 0 {
					continue
				}
				err := s.Unit(unit).Scan(id, func(_ Key, value []byte) error {
					if value[0] != want {
						return fmt.Errorf("a value of checkpoint %d, must be of %d", value[0], want)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if last, _ := s.Last(); n < 64*1300 || last.Tick != int64(want) {
			t.Fatalf("%d tables as of tick %d, must be all as of %d", n, last.Tick, want)
		}
	}
	check(1)
	// The records are synced, and then the pieces behind the root's first are not.
	syncs = 1
	if err := manyTables(t, s, 2); err == nil {
		t.Fatal("a checkpoint that cannot be synced has no error")
	}
	check(1)
	if err := manyTables(t, s, 3); err != nil {
		t.Fatal(err)
	}
	check(3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAStoreThatCouldNotLetGoOfSegmentsIsOpenedAgain(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s := mustOpen(t, cfg)
	rng := rand.New(rand.NewPCG(14, 14))
	keys := make([]Key, 500)
	for i := range keys {
		keys[i] = randomKey(rng, 0)
	}
	commit := func(tick byte) error {
		c := s.Begin(nil)
		ch := changes{}
		for _, k := range keys {
			ch.set(s, 0, 1, k, append(make([]byte, 200), tick))
		}
		for at, b := range ch {
			_ = c.Put(at.unit, at.table, at.page, b) // Commit has the error
		}
		return c.Commit(t.Context(), Flip{Tick: int64(tick)})
	}
	tick := byte(1)
	for ; s.waste.bytes.Load() == 0; tick++ {
		if err := commit(tick); err != nil {
			t.Fatal(err)
		}
	}
	// Badger makes a table of what is in memory first; it cannot.
	var inTheWay []string
	for id := range 2000 {
		name := filepath.Join(s.path, fmt.Sprintf("%06d.sst", id))
		if err := os.Mkdir(name, 0o700); err == nil {
			inTheWay = append(inTheWay, name)
		}
	}
	s.cfg.sizes.waste = -1 << 40
	err := commit(tick)
	if err == nil || s.poisoned == nil {
		t.Errorf("Badger could not let go of segments, and is written to: error %v", err)
	}
	if err := commit(tick); err == nil {
		t.Error("it is written to behind that")
	}
	for _, name := range inTheWay {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, cfg)
	defer s.Close()
	if last, _ := s.Last(); s.Broken() != "" || last.Tick != int64(tick-1) {
		t.Errorf("opened again it is as of tick %d, must be %d; put aside: %q", last.Tick, tick-1, s.Broken())
	}
	if err := commit(tick); err != nil {
		t.Error(err)
	}
}
