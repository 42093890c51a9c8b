package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

func TestReadersSeeOneGenerationWhileCheckpointsAreWritten(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(3, 3))
	keys := make([]Key, 3000)
	for i := range keys {
		keys[i] = randomKey(rng, 1)
	}
	// Every checkpoint writes its tick to half of the keys, and to all of those in
	// table 2, so that a scan of that must find one and the same in all of them.
	commit := func(tick uint64) {
		value := binary.LittleEndian.AppendUint64(nil, tick)
		c := s.Begin(nil)
		ch := changes{}
		for i, k := range keys {
			if i < 400 {
				ch.set(s, 1, 2, k, value)
			}
			if rng.IntN(2) == 0 || tick == 1 {
				ch.set(s, 1, 1, k, value)
			}
		}
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: int64(tick)}); err != nil {
			t.Error(err)
		}
	}
	commit(1)
	var stop atomic.Bool
	var scans, gets atomic.Int64
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 4))
			u := s.Unit(1)
			for !stop.Load() || scans.Load() < 20 || gets.Load() < 1000 {
				if t.Failed() {
					return
				}
				if n == 0 {
					count, ticks := 0, map[string]int{}
					if err := u.Scan(2, func(_ Key, v []byte) error { ticks[string(v)]++; count++; return nil }); err != nil {
						t.Error(err)
					}
					if count != 400 || len(ticks) != 1 {
						t.Errorf("a scan of %d values of %d generations", count, len(ticks))
					}
					scans.Add(1)
				}
				before, _ := s.Last()
				v, ok, err := u.Get(1, keys[rng.IntN(len(keys))], nil)
				after, _ := s.Last()
				if err != nil || !ok || binary.LittleEndian.Uint64(v) > uint64(after.Tick) {
					t.Errorf("%v of ticks %d to %d: %v, error %v", v, before.Tick, after.Tick, ok, err)
				}
				gets.Add(1)
			}
		})
	}
	for tick := range uint64(40) {
		commit(tick + 2)
	}
	stop.Store(true)
	wg.Wait()
}

func TestAScanGoesOnWhileItsGenerationIsSuperseded(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(8, 8))
	keys := make([]Key, 10_000)
	for i := range keys {
		keys[i] = randomKey(rng, 0)
	}
	commit := func(tick byte, whole bool) {
		c := s.Begin(nil)
		ch := changes{}
		const pages = 200
		if whole {
			if err := c.Whole(0, 1, pages); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range keys {
			if v := bytes.Repeat([]byte{tick}, 50); whole {
				at := place{0, 1, PageAmong(k, pages)}
				ch[at] = AppendChange(ch[at], k, v)
			} else {
				ch.set(s, 0, 1, k, v)
			}
		}
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: int64(tick)}); err != nil {
			t.Fatal(err)
		}
	}
	commit(1, false)
	count := 0
	err := s.Unit(0).Scan(1, func(_ Key, v []byte) error {
		if count++; v[0] != 1 {
			t.Fatalf("value %d is of checkpoint %d, must be of 1", count, v[0])
		}
		if count == 1 {
			commit(2, false)
			commit(3, false)
			commit(4, true)
			if v[0] != 1 {
				t.Fatal("the value changed under way")
			}
		}
		return nil
	})
	if err != nil || count != len(keys) {
		t.Errorf("%d values, must be %d; error %v", count, len(keys), err)
	}
	stop := errors.New("enough")
	if err := s.Unit(0).Scan(1, func(Key, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a scan that was ended: error %v", err)
	}
}

func TestBytesWrittenStayNearWhatChanged(t *testing.T) {
	const keys, valueLen = 60_000, 120
	for name, pick := range map[string]func(rng *rand.Rand, round, i int) bool{
		"1% of them, anywhere":   func(rng *rand.Rand, _, _ int) bool { return rng.IntN(100) == 0 },
		"always the same 1%":     func(_ *rand.Rand, _, i int) bool { return i%100 == 0 },
		"10% of them, anywhere":  func(rng *rand.Rand, _, _ int) bool { return rng.IntN(10) == 0 },
		"one by one, in a round": func(_ *rand.Rand, round, i int) bool { return i%100 == round%100 },
		"all of them":            func(*rand.Rand, int, int) bool { return true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			cfg.Temporary = true
			s := mustOpen(t, cfg) // of its own: what others left would be emptied at its expense
			defer s.Close()
			rng := rand.New(rand.NewPCG(1, 9))
			table := uint16(len(name))
			tick := int64(0)
			value := make([]byte, valueLen)
			round := func(pick func(i int) bool) (dirty, written int64) {
				c := s.Begin(keepTest)
				ch := changes{}
				all := rand.New(rand.NewPCG(7, 7))
				for i := range keys {
					k := randomKey(all, i%testUnits)
					if !pick(i) {
						continue
					}
					binary.LittleEndian.PutUint64(value[1:], rng.Uint64())
					ch.set(s, i%testUnits, table, k, value)
					dirty += keyLen + valueLen
				}
				ch.put(t, c)
				before := s.Stats().Written
				tick++
				if err := c.Commit(t.Context(), Flip{Tick: tick}); err != nil {
					t.Fatal(err)
				}
				return dirty, s.Stats().Written - before
			}
			round(func(int) bool { return true })
			rounds := 80
			if pick(rng, 0, 1) && pick(rng, 0, 2) { // all of them
				rounds = 5
			}
			var dirty, written int64
			for n := range rounds {
				d, w := round(func(i int) bool { return pick(rng, n, i) })
				dirty, written = dirty+d, written+w
			}
			t.Logf("%.2f bytes written for each that changed", float64(written)/float64(dirty))
			if written > 4*dirty {
				t.Errorf("%d bytes were written for %d that changed", written, dirty)
			}
			var found int64
			for i := range testUnits {
				if err := s.Unit(i).Scan(table, func(Key, []byte) error { found++; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if found != keys {
				t.Errorf("%d keys, must be %d", found, keys)
			}
		})
	}
}

func TestHasIsRarelyWrong(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Temporary = true
	s := mustOpen(t, cfg)
	defer s.Close()
	rng := rand.New(rand.NewPCG(5, 5))
	for _, size := range []int{0, 1, 20, 120} { // the smaller values are, the more keys are in a page
		table := uint16(size)
		for tick := range int64(6) {
			c := s.Begin(nil)
			ch := changes{}
			for range 10_000 {
				ch.set(s, 0, table, randomKey(rng, 0), make([]byte, size))
			}
			ch.put(t, c)
			if err := c.Commit(t.Context(), Flip{Tick: tick}); err != nil {
				t.Fatal(err)
			}
		}
		wrong := 0
		const asked = 100_000
		for range asked {
			if s.Unit(0).Has(table, randomKey(rng, 0)) {
				wrong++
			}
		}
		t.Logf("values of %d bytes: wrong in %.3f %%", size, 100*float64(wrong)/asked)
		if wrong*100 > asked {
			t.Errorf("values of %d bytes: wrong in %d of %d", size, wrong, asked)
		}
	}
}

func TestWhatACheckpointCannotHoldIsAnError(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	commit := func(fill func(c *Checkpoint) error) error {
		c := s.Begin(nil)
		if err := fill(c); err != nil {
			c.Abort()
			return err
		}
		return c.Commit(t.Context(), Flip{Tick: 1})
	}
	k := Key{1, 2}
	largest := AppendChange(nil, k, make([]byte, ValueMax))
	if err := commit(func(c *Checkpoint) error { return c.Put(0, 1, 0, largest) }); err != nil {
		t.Errorf("a value of the largest size: %v", err)
	}
	if v, ok, err := s.Unit(0).Get(1, k, nil); len(v) != ValueMax || !ok || err != nil {
		t.Errorf("%d bytes, %v, error %v", len(v), ok, err)
	}
	for want, fill := range map[string]func(c *Checkpoint) error{
		"over 65536": func(c *Checkpoint) error { return c.Put(0, 1, 0, AppendChange(nil, k, make([]byte, ValueMax+1))) },
		"unit 4, must be below 4": func(c *Checkpoint) error {
			return c.Put(4, 1, 0, AppendChange(nil, k, nil))
		},
		"the table has 1 pages": func(c *Checkpoint) error { return c.Put(0, 5, 1, AppendChange(nil, k, []byte{1})) },
		"came twice": func(c *Checkpoint) error {
			return errors.Join(c.Put(0, 5, 0, AppendChange(nil, k, []byte{1})), c.Put(0, 5, 0, AppendChange(nil, k, []byte{1})))
		},
		"belongs to page": func(c *Checkpoint) error {
			at := place{0, 1, s.Unit(0).Page(1, k) ^ 1}
			return c.Put(at.unit, at.table, at.page, AppendChange(nil, k, []byte{1}))
		},
		"must be at least 17": func(c *Checkpoint) error { return c.Put(0, 5, 0, []byte("short")) },
		"a table of 0 pages":  func(c *Checkpoint) error { return c.Whole(0, 1, 0) },
		"unit -1, must be":    func(c *Checkpoint) error { return c.Whole(-1, 1, 1) },
		"whole behind a change": func(c *Checkpoint) error {
			return errors.Join(c.Put(0, 5, 0, AppendChange(nil, k, []byte{1})), c.Whole(0, 5, 1))
		},
		"a deletion in a table that is written whole": func(c *Checkpoint) error {
			return errors.Join(c.Whole(0, 1, 1), c.Put(0, 1, 0, AppendChange(nil, k, nil)))
		},
	} {
		if err := commit(fill); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, must have %q", err, want)
		}
	}
	if err := s.Begin(nil).Commit(t.Context(), Flip{Units: make([][]byte, 3)}); err == nil {
		t.Error("a flip of three units of four has no error")
	}
	c := s.Begin(nil)
	if err := s.Begin(nil).Commit(t.Context(), Flip{}); !errors.Is(err, errBegun) {
		t.Errorf("a second checkpoint at a time: error %v", err)
	}
	if err := c.Commit(t.Context(), Flip{Tick: 2}); err != nil {
		t.Errorf("the first of two: %v", err)
	}
	if err := c.Put(0, 1, 0, largest); !errors.Is(err, errEnded) {
		t.Errorf("putting behind the commit: error %v", err)
	}
}

func TestThereIsRoomUntilTheQueueIsFull(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	held := make(chan struct{})
	let := sync.OnceFunc(func() { close(held) })
	defer let()
	c := s.Begin(nil)
	if err := c.enqueue(0, func(*writer) error { <-held; return nil }); err != nil { // the writer is busy
		t.Fatal(err)
	}
	const piece = 1 << 20
	for _, step := range []struct {
		bytes int64
		room  bool
	}{{queueMax - 1, true}, {1, false}} {
		if err := c.enqueue(step.bytes, func(*writer) error { return nil }); err != nil || c.Room() != step.room {
			t.Fatalf("%d bytes wait: room %v, error %v", c.waiting, c.Room(), err)
		}
	}
	if err := c.Blob("one more", make([]byte, piece)); err != nil {
		t.Errorf("without room: %v", err)
	}
	let()
	if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil || !c.Room() {
		t.Errorf("room %v, error %v", c.Room(), err)
	}
	if b, err := s.Blob("one more"); len(b) != piece || err != nil {
		t.Errorf("%d bytes, error %v", len(b), err)
	}
}

func TestAPageOfManyLargeValuesIsParted(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(6, 6))
	want := map[Key][]byte{}
	write := func(count int) {
		c := s.Begin(nil)
		ch := changes{}
		for range count {
			k := randomKey(rng, 0)
			want[k] = bytes.Repeat([]byte{byte(rng.Uint32())}, 60<<10)
			ch.set(s, 0, 1, k, want[k])
		}
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, count := range []int{1, 20, 1, 40, 3} { // a base, a delta in parts, splits
		write(count)
		compareTable(t, s.Unit(0), 1, want, rng)
	}
}

func TestValuesThatAreOverGoInTurn(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	rng := rand.New(rand.NewPCG(7, 7))
	over := false
	keep := func(int, uint16, []byte) bool { return !over }
	commit := func(ch changes) {
		c := s.Begin(keep)
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
			t.Fatal(err)
		}
	}
	ch := changes{}
	for range 20_000 {
		ch.set(s, 0, 1, randomKey(rng, 0), make([]byte, 100))
	}
	commit(ch)
	before := s.Stats()
	if before.Keys != 20_000 {
		t.Errorf("%d keys, must be 20000", before.Keys)
	}
	over = true
	rounds := 0
	for s.Stats().Keys > 0 && rounds < 2*sweepMost {
		commit(nil)
		rounds++
	}
	after := s.Stats()
	if after.Keys > 0 || after.Bytes*20 > before.Bytes {
		t.Errorf("after %d checkpoints %d keys and %d bytes of %d are left", rounds, after.Keys, after.Bytes, before.Bytes)
	}
	t.Logf("gone after %d checkpoints; %d bytes of %d left", rounds, after.Bytes, before.Bytes)
}

// However often checkpoints come, a turn over all pages takes its hour.
func TestPagesAreLookedAtByTheHour(t *testing.T) {
	for _, tc := range []struct {
		pages int
		since time.Duration
		want  int
	}{
		{100, 0, 1}, {100, time.Hour, 1}, {360_000, 0, 1}, {360_000, -time.Second, 1},
		{360_000, time.Second, 101}, {360_000, 10 * time.Second, 1001}, {360_000, time.Hour, 1001},
	} {
		if got := sweepPart(tc.pages, tc.since); got != tc.want {
			t.Errorf("%d pages, %v behind the last one: %d, must be %d", tc.pages, tc.since, got, tc.want)
		}
	}
}

func TestWhatATableHeldThatCameWholeStaysGone(t *testing.T) {
	w := newWorld(t, 1)
	commit := func(count int, of func(k Key) bool) {
		c := w.s.Begin(nil)
		ch := changes{}
		w.m.values[0][1] = map[Key][]byte{}
		for len(w.m.values[0][1]) < count {
			if k := randomKey(w.rng, 0); of(k) {
				w.m.values[0][1][k] = make([]byte, 100)
			}
		}
		w.whole(c, ch, place{table: 1}, w.m.values[0][1])
		ch.put(t, c)
		w.m.last, w.m.ok = Flip{Tick: 1}, true
		if err := c.Commit(t.Context(), w.m.last); err != nil {
			t.Fatal(err)
		}
	}
	commit(2000, func(Key) bool { return true })
	commit(100, func(k Key) bool { return hash(k)%2 == 1 })
	if w.s.Stats().Garbage < 200_000 {
		t.Fatalf("%d bytes of garbage: what it held is not on disk any more", w.s.Stats().Garbage)
	}
	w.m.compare(t, w.s, w.rng)
	w.reopen(nil)
	w.m.compare(t, w.s, w.rng)
	w.count()
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadingADamagedPageIsAnError(t *testing.T) {
	s := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	k, other := Key{1, 2}, Key{1, 3}
	commit := func(table uint16, k Key) {
		c := s.Begin(nil)
		ch := changes{}
		ch.set(s, 0, table, k, make([]byte, 100))
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
			t.Fatal(err)
		}
	}
	commit(1, k)
	var p page
	s.current.Load().units[0].tables[1].read(0, &p)
	at := p.spots[0]
	err := s.db.Update(func(txn *badger.Txn) error { return txn.Delete(appendChunkKey(nil, at.segment, at.number)) })
	if err != nil {
		t.Fatal(err)
	}
	commit(2, other) // a view that sees what happened
	if _, ok, err := s.Unit(0).Get(1, k, nil); ok || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "unit 0, table 1, page 0") {
		t.Errorf("getting: %v, error %v", ok, err)
	}
	if err := s.Unit(0).Scan(1, func(Key, []byte) error { return nil }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("scanning: error %v", err)
	}
	if _, ok, err := s.Unit(0).Get(2, other, nil); !ok || err != nil {
		t.Errorf("another page: %v, error %v", ok, err)
	}
}

func TestAStoreWithoutSegmentsLeftSaysSo(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir(), Units: 1, KeyID: "k", Reserve: 16 << 20})
	defer s.Close()
	put := func() *Checkpoint {
		c, ch := s.Begin(nil), changes{}
		ch.set(s, 0, 1, Key{Hi: 1}, []byte("value"))
		ch.put(t, c)
		return c
	}
	if err := put().Commit(t.Context(), Flip{Tick: 1}); err != nil {
		t.Fatal(err)
	}
	s.segment = math.MaxUint32
	c := s.Begin(nil)
	if err := c.Commit(t.Context(), Flip{Tick: 1}); !errors.Is(err, errSegments) {
		t.Errorf("error %v", err)
	}
}
