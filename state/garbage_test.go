package state

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Who reads a key that is not in memory has the collector clear up little more than
// a page: Badger drops what it copied at every seek that finds it where the one
// before left it.
func TestReadingAKeyLeavesLittleForTheCollector(t *testing.T) {
	const keys, most = 30_000, 8 << 10
	s := mustOpen(t, Config{Dir: t.TempDir(), Units: 2, KeyID: "a key", Reserve: 1})
	defer s.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	ch, all := changes{}, []Key{}
	for range keys {
		k := Key{rng.Uint64(), rng.Uint64()}
		value := make([]byte, 100)
		binary.LittleEndian.PutUint64(value, rng.Uint64())
		ch.set(s, k.Unit(2), 1, k, value)
		all = append(all, k)
	}
	c := s.Begin(nil)
	ch.put(t, c)
	if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var value []byte
	for _, k := range all {
		var ok bool
		var err error
		if value, ok, err = s.Unit(k.Unit(2)).Get(1, k, value[:0]); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / keys; each > most {
		t.Errorf("%d bytes are left behind a key that was read, must be at most %d", each, most)
	}
}

// The memory in which Badger makes a table is kept, and doubles where it is short.
func TestATableIsMadeInMemoryThatDoesNotGrow(t *testing.T) {
	opt := badgerOptions(t.TempDir(), leastTable, nil)
	pool := z.NewAllocatorPool(1)
	defer pool.Release()
	for name, sizes := range map[string][]int{
		"chunks of many small entries": {chunkBytes + 300},
		"chunks of a page each":        {pageBytes + 300},
		"chunks of pages in a row":     {wholeChunkBytes},
		"both":                         {chunkBytes, pageBytes, chunkBytes, chunkBytes, pageBytes * 2},
	} {
		b := table.NewTableBuilder(table.Options{TableSize: uint64(opt.BaseTableSize), BlockSize: opt.BlockSize, BloomFalsePositive: opt.BloomFalsePositive, AllocPool: pool})
		for i := 0; !b.ReachedCapacity(); i++ {
			key := y.KeyWithTs(appendChunkKey(nil, 1, uint16(i)), 1)
			b.Add(key, y.ValueStruct{Value: make([]byte, sizes[i%len(sizes)])}, 0)
		}
		b.Close()
		alloc := pool.Get(0, "")
		if got, most := alloc.Allocated(), uint64(2*opt.BaseTableSize); got > most {
			t.Errorf("%s: a table of %d bytes was made in %d, must be in at most %d", name, opt.BaseTableSize, got, most)
		}
		alloc.Release()
	}
}
