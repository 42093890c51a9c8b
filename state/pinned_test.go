package state

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// A reader's iterator holds what Badger had in memory when it was made. However
// many read at once, and whenever they began, it is the same few memtables.
func TestReadersHoldNoMoreOfBadgersMemoryTheMoreThereAre(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	cfg.sizes = usualSizes
	s := mustOpen(t, cfg)
	defer s.Close()
	rng := rand.New(rand.NewPCG(15, 15))
	table := uint16(0)
	put := func(c *Checkpoint) { // more than a memtable has room for
		ch := changes{}
		for range 40 {
			table++
			for range 60 {
				ch.set(s, 0, table, randomKey(rng, 0), make([]byte, 1000))
			}
		}
		ch.put(t, c)
		flushed(t, c)
	}
	c := s.Begin(nil)
	put(c)
	if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
		t.Fatal(err)
	}
	c = s.Begin(nil)
	defer c.Abort()
	v, err := s.hold()
	if err != nil {
		t.Fatal(err)
	}
	defer v.release()
	var readers []*iterator
	for range 4 {
		put(c)
		it, err := v.iterator()
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, it)
	}
	for _, it := range readers {
		v.done(it)
	}
	put(c)
	const most = 4 // the one that is written, one that is being flushed, and what was there at the flip
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		logs, err := filepath.Glob(filepath.Join(s.path, "*.mem"))
		if err != nil {
			t.Fatal(err)
		}
		if len(logs) <= most {
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d memtables are held, must be at most %d", len(logs), most)
		}
	}
}
