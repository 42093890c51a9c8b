package state

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// tablesOf makes a store with some tables that are known, and moved to where they
// stay.
func tablesOf(t *testing.T) *Store {
	t.Helper()
	s := mustOpen(t, Config{Dir: t.TempDir(), Units: 1, KeyID: "k", Memory: LeastMemory, Reserve: 16 << 20})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	rng := rand.New(rand.NewPCG(8, 8))
	for tick := range int64(3) {
		c, ch := s.Begin(nil), changes{}
		for range 30_000 {
			v := make([]byte, 150)
			for i := range v {
				v[i] = byte(rng.Uint32())
			}
			ch.set(s, 0, 1, randomKey(rng, 0), v)
		}
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: tick + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	// What is still being flushed moves later, and with that is another table.
	for quiet, last := 0, ""; quiet < 15; quiet++ {
		if now := s.db.LevelsToString(); now != last {
			quiet, last = 0, now
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.ahead.look()
	s.ahead.look() // at the first a new table is only seen
	if n := len(*s.ahead.known.Load()); n < 3 {
		t.Fatalf("%d tables are known, must be some", n)
	}
	return s
}

func TestOnlyWhatIsAskedForIsReadOfATable(t *testing.T) {
	s := tablesOf(t)
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	advised := 0
	for _, m := range *s.ahead.known.Load() {
		_, rest, ok := bytes.Cut(smaps, []byte(strconv.FormatUint(uint64(m.begin), 16)+"-"))
		if !ok {
			t.Fatalf("table %d is not mapped where it is looked for", m.id)
		}
		_, flags, _ := bytes.Cut(rest, []byte("VmFlags:"))
		line, _, _ := strings.Cut(string(flags), "\n")
		if strings.Contains(line+" ", " rr ") {
			advised++
		}
	}
	if n := len(*s.ahead.known.Load()); advised != n {
		t.Errorf("of %d tables the kernel reads around what is asked for, of %d in all", n-advised, n)
	}
}

// What is asked to be read must be where the chunk is, or each of its pages is
// waited for by itself.
func TestTheBlockOfAChunkIsFound(t *testing.T) {
	s := tablesOf(t)
	files := map[uint64][]byte{}
	for _, m := range *s.ahead.known.Load() {
		b, err := os.ReadFile(table.NewFilename(m.id, s.path))
		if err != nil {
			t.Fatal(err)
		}
		files[m.id] = b
	}
	chunks, blocks := 0, 0
	var from, until uint64
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			segment, number, ok := parseChunkKey(it.Item().Key())
			if !ok || number >= rootNumber {
				continue
			}
			chunk := ordinal(segment, number)
			at, ok := s.ahead.find(chunk, 1)
			if !ok {
				continue
			}
			chunks++
			err := it.Item().Value(func(record []byte) error {
				if !bytes.Contains(files[at.table.id][at.from:at.to], record) {
					t.Fatalf("chunk %d of segment %d is not in what is read for it, bytes %d to %d of table %d", number, segment, at.from, at.to, at.table.id)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if chunk < from || chunk >= until {
				if at.to-at.from > 2*block {
					t.Errorf("%d bytes are read for a chunk", at.to-at.from)
				}
				blocks++
				from, until = chunk, at.until
			}
			if far, ok := s.ahead.find(chunk, farAhead); !ok || far.to-far.from > farAhead+block || far.until < at.until {
				t.Errorf("who goes on reads %d bytes, up to chunk %d; who does not, %d, up to %d", far.to-far.from, far.until, at.to-at.from, at.until)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if chunks < 3000 || blocks > chunks/4 {
		t.Errorf("%d chunks were found, %d times a block was read for them", chunks, blocks)
	}
}

func TestNothingIsAskedForThatIsNotKnown(t *testing.T) {
	a := newAhead(t.TempDir())
	if at, ok := a.find(7, 1); ok || a.want(7, 1) != 8 {
		t.Errorf("%+v is read of no table", at)
	}
	s := tablesOf(t)
	known := *s.ahead.known.Load()
	last := known[len(known)-1].parts
	if at, ok := s.ahead.find(last[len(last)-2].first+blockChunks, 1); ok {
		t.Errorf("%+v is read for a chunk behind all tables", at)
	}
	if at, ok := s.ahead.find(known[0].parts[0].first-1, 1); ok {
		t.Errorf("%+v is read for a chunk before all tables", at)
	}
}

func TestATableWithADamagedIndexIsNotKnown(t *testing.T) {
	s := tablesOf(t)
	name := table.NewFilename((*s.ahead.known.Load())[0].id, s.path)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := blocksOf(name)
	if err != nil {
		t.Fatal(err)
	}
	index := parts[len(parts)-1].at
	path := name + ".copy"
	for _, at := range []uint32{index, index + 4, index + 16} {
		b := bytes.Clone(whole)
		copy(b[at:], bytes.Repeat([]byte{0xff}, 64))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if parts, err := blocksOf(path); err == nil {
			t.Errorf("damaged at %d of its index it has %d blocks", at-index, len(parts)-1)
		}
	}
	for _, keep := range []int{0, 3, 4, 7, 9, 100, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:keep], 0o600); err != nil {
			t.Fatal(err)
		}
		if parts, err := blocksOf(path); err == nil && len(parts) > 1 {
			t.Errorf("cut to %d bytes it has %d blocks", keep, len(parts)-1)
		}
	}
}

// A table that cannot be read is not looked at again and again.
func TestATableThatCannotBeReadIsLookedAtOnce(t *testing.T) {
	dir := t.TempDir()
	name := table.NewFilename(7, dir)
	if err := os.WriteFile(name, make([]byte, os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mapped, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(mapped); err != nil {
			t.Error(err)
		}
	}()
	a := newAhead(dir)
	defer a.close()
	a.look()
	if !a.seen[7] || a.timer == nil {
		t.Fatalf("it was not seen: %v", a.seen)
	}
	a.look()
	if readable, seen := a.seen[7]; readable || !seen || a.timer.Stop() {
		t.Errorf("seen %v, readable %v, or it is looked at again soon", seen, readable)
	}
	a.look()
	if len(*a.known.Load()) != 0 || a.memory() != 0 || a.timer.Stop() {
		t.Errorf("%d tables are known in %d bytes, or one is looked at again soon", len(*a.known.Load()), a.memory())
	}
	if s := tablesOf(t); s.ahead.memory() < 16*100 {
		t.Errorf("where blocks are takes %d bytes", s.ahead.memory())
	}
}
