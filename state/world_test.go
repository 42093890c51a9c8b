package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
)

// world is a store that random things happen to, and what it must hold.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	cfg    Config
	s      *Store
	m      *model
	short  atomic.Int64 // the disk is nearly full; behind so many looks, where there is room now
	syncs  atomic.Int64 // how many syncs go well before some fail; negative: all
	fails  atomic.Int64 // how many
	done   map[string]int
	serial int64
	lives  []int64 // bytes that were alive after the last commits
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 8)), m: newModel(), done: map[string]int{}}
	w.cfg = testConfig(t.TempDir())
	w.cfg.free = func(string) (int64, int64, error) {
		if n := w.short.Load(); n == 1 || n > 1 && w.short.Add(-1) == 1 {
			return 1 << 10, 1 << 40, nil
		}
		return 1 << 39, 1 << 40, nil
	}
	w.cfg.sync = func(dir string) error {
		if w.syncs.Add(-1) < 0 && w.fails.Add(-1) >= 0 {
			return errors.New("no such luck")
		}
		return syncLogs(dir)
	}
	w.s = mustOpen(t, w.cfg)
	return w
}

// value makes a value: mostly small, some empty, some as large as they may be.
func (w *world) value() []byte {
	size := w.rng.IntN(200)
	switch w.rng.IntN(400) {
	case 0:
		size = 0
	case 1:
		size = ValueMax
	}
	v := make([]byte, size)
	for i := range v {
		v[i] = byte(w.rng.Uint32())
	}
	if size > 0 && w.rng.IntN(6) == 0 {
		v[0] = deadMark
	}
	return v
}

// checkpoint writes random changes and ends in one of the ways there are.
func (w *world) checkpoint() {
	next := w.m.clone()
	c := w.s.Begin(keepTest)
	dropped := -1
	if w.rng.IntN(12) == 0 {
		id := uint16(w.rng.IntN(3))
		dropped = int(id)
		for u := range next.values {
			delete(next.values[u], id)
		}
		w.done["drop"]++
	}
	ch := changes{}
	count := []int{1, 30, 600, 6000}[w.rng.IntN(4)]
	for u, tables := range next.values {
		for id := range uint16(3) {
			if tables[id] == nil {
				tables[id] = map[Key][]byte{}
			}
			known := slices.SortedFunc(maps.Keys(tables[id]), compareKeys)
			for range w.rng.IntN(count) / 6 {
				k := randomKey(w.rng, u)
				if len(known) > 0 && w.rng.IntN(3) > 0 {
					k = known[w.rng.IntN(len(known))]
				}
				v := w.value()
				if w.rng.IntN(5) == 0 {
					v = nil
					delete(tables[id], k)
				} else {
					tables[id][k] = v
				}
				ch.set(w.s, u, id, k, v)
			}
			if len(tables[id]) > 0 && w.rng.IntN(20) == 0 { // nearly all of it goes
				for k := range tables[id] {
					delete(tables[id], k)
					ch.set(w.s, u, id, k, nil)
				}
			}
			if int(id) == dropped || w.rng.IntN(6) == 0 {
				w.whole(c, ch, place{unit: u, table: id}, tables[id])
			}
		}
	}
	ch.put(w.t, c)
	for name, size := range map[string]int{"small": 10, "large": 700 << 10} {
		if w.rng.IntN(6) == 0 {
			b := bytes.Repeat([]byte{byte(w.rng.Uint32())}, w.rng.IntN(size))
			if err := c.Blob(name, b); err != nil {
				w.t.Fatal(err)
			}
			next.blobs[name] = b
			if len(b) == 0 {
				next.blobs[name] = nil
			}
		}
	}
	w.serial++
	next.ok = true
	next.last = Flip{Tick: w.serial, Meta: binary.LittleEndian.AppendUint64(nil, w.rng.Uint64()), Units: make([][]byte, testUnits)}
	for i := range next.last.Units {
		next.last.Units[i] = bytes.Repeat([]byte{byte(i)}, w.rng.IntN(3000))
	}
	w.end(c, next)
}

// whole has a table written whole, with what it is to hold.
func (w *world) whole(c *Checkpoint, ch changes, at place, keys map[Key][]byte) {
	w.done["whole"]++
	maps.DeleteFunc(ch, func(p place, _ []byte) bool { return p.unit == at.unit && p.table == at.table })
	var size int64
	for _, v := range keys {
		size += ChangeBytes(len(v))
	}
	pages := PagesOf(size)
	if w.rng.IntN(4) == 0 {
		pages = 1 + w.rng.IntN(2*pages) // as good as any
	}
	if err := c.Whole(at.unit, at.table, pages); err != nil {
		w.t.Fatal(err)
	}
	for k, v := range keys {
		at.page = PageAmong(k, pages)
		ch[at] = AppendChange(ch[at], k, v)
	}
}

func (w *world) end(c *Checkpoint, next *model) {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	how := []string{"commit", "commit", "commit", "abort", "cancelled", "disk", "sync", "close"}[w.rng.IntN(8)]
	w.done[how]++
	switch how {
	case "commit":
		if err := c.Commit(ctx, next.last); err != nil {
			w.t.Fatal(err)
		}
		w.m = next
		w.count()
	case "abort":
		if w.serial%2 == 0 {
			flushed(w.t, c)
		}
		c.Abort()
		c.Abort()
	case "cancelled":
		cause := errors.New("enough")
		cancel(cause)
		if err := c.Commit(ctx, next.last); !errors.Is(err, context.Canceled) {
			w.t.Fatalf("a checkpoint whose context has ended: error %v", err)
		}
	case "disk":
		w.short.Store(int64(1 + w.rng.IntN(3))) // before it writes the last records, or behind them
		err := c.Commit(ctx, next.last)
		w.short.Store(0)
		if !errors.Is(err, errDiskFull) {
			w.t.Fatalf("a checkpoint on a full disk: error %v", err)
		}
	case "sync":
		w.syncs.Store(int64(w.rng.IntN(2)))
		w.fails.Store(int64(1 + w.rng.IntN(2)))
		err := c.Commit(ctx, next.last)
		w.fails.Store(0)
		if err == nil {
			w.t.Fatal("a checkpoint that cannot be synced has no error")
		}
		if w.s.poisoned != nil { // what is in force on disk is not known: it is opened again
			w.done["poisoned"]++
			if err := w.s.Begin(nil).Commit(ctx, next.last); !errors.Is(err, w.s.poisoned) {
				w.t.Fatalf("a checkpoint of a store that must be opened again: error %v", err)
			}
			w.reopen(next)
		}
	case "close":
		w.reopen(nil)
		if err := c.Commit(ctx, next.last); err == nil {
			w.t.Fatal("a checkpoint of a closed store has no error")
		}
	}
}

// count fails where what the store says of its segments is not so: how large they
// are, how much of them is read; and where there are segments that it does not know.
func (w *world) count() {
	w.t.Helper()
	v := w.s.current.Load()
	found, live := map[uint32]int64{}, map[uint32]int64{}
	txn := w.s.db.NewTransaction(false)
	defer txn.Discard()
	it := newIterator(txn)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		id, _, ok := parseChunkKey(it.Item().Key())
		if !ok {
			w.t.Fatalf("a record %x", it.Item().Key())
		}
		if err := it.Item().Value(func(record []byte) error {
			found[id] += unpackedSize(it.Item().Key(), record)
			return nil
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	note := func(spots []spot) {
		for _, s := range spots {
			live[s.segment] += int64(s.bytes)
		}
	}
	for _, b := range v.blobs {
		note(b.spots)
	}
	for i := range v.units {
		for _, table := range v.units[i].tables {
			for _, p := range table.each() {
				note(p.spots)
			}
		}
	}
	// Values go at once, and the segments that they were in behind that.
	w.lives = append(w.lives, w.s.Stats().Bytes)
	most := slices.Max(w.lives[max(len(w.lives)-4, 0):])
	var total int64
	for _, seg := range v.segments {
		if seg.total != found[seg.id] || seg.live != live[seg.id] {
			w.t.Fatalf("segment %d has %d bytes, of which %d are read; must be %d and %d", seg.id, seg.total, seg.live, found[seg.id], live[seg.id])
		}
		total += seg.total
		delete(found, seg.id)
		delete(live, seg.id)
	}
	if len(live) > 0 {
		w.t.Fatalf("in segments that are not in force is what is read: %v", live)
	}
	if limit := 3*most + 3*w.cfg.sizes.slack + 2*w.cfg.sizes.segment; total > limit {
		w.t.Fatalf("%d bytes are in the segments in force, of which %d are read", total, w.s.Stats().Bytes)
	}
	for id := range found {
		known := id == w.s.extra || id >= w.s.waste.from && id < w.s.waste.until || slices.Contains(w.s.waste.orphans, id)
		if !known {
			w.t.Fatalf("segment %d of %d bytes is known to nobody: %+v", id, found[id], w.s.waste.orphans)
		}
	}
}

// reopen closes the store and opens it again; where the last checkpoint may have
// been committed or not, either is right.
func (w *world) reopen(either *model) {
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.s = mustOpen(w.t, w.cfg)
	if why := w.s.Broken(); why != "" {
		w.t.Fatal(why)
	}
	if last, _ := w.s.Last(); either != nil && last.Tick == either.last.Tick {
		w.m = either
	}
	w.done["reopen"]++
}

func TestAStoreHoldsWhatWasCommittedWhateverHappens(t *testing.T) {
	seeds := 4
	if n, err := strconv.Atoi(os.Getenv("WEIR_SEEDS")); err == nil {
		seeds = n
	}
	done := map[string]int{}
	for seed := range seeds {
		w := newWorld(t, uint64(seed))
		for range 40 {
			w.checkpoint()
			if w.rng.IntN(8) == 0 {
				w.reopen(nil)
			}
			if w.rng.IntN(3) == 0 {
				w.m.compare(t, w.s, w.rng)
			}
		}
		w.reopen(nil)
		w.m.compare(t, w.s, w.rng)
		w.look()
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		for k, n := range w.done {
			done[k] += n
		}
	}
	for _, must := range []string{"commit", "abort", "cancelled", "disk", "sync", "close", "drop", "whole", "reopen", "poisoned"} {
		if done[must] == 0 {
			t.Errorf("%q never happened", must)
		}
	}
	t.Log(done)
}

// look compares what Look and Compact say with the model.
func (w *world) look() {
	t := w.t
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	before := digest(t, w.cfg.Dir)
	values := map[uint16]int64{}
	report, err := Look(t.Context(), w.cfg.Dir, func(unit int, table uint16, k Key, value []byte) {
		if want, ok := w.m.values[unit][table][k]; !ok || !bytes.Equal(want, value) {
			t.Errorf("unit %d, table %d, key %x: %d bytes, must be %v of %d", unit, table, k, len(value), ok, len(want))
		}
		values[table]++
	})
	if err != nil || len(report.Faults) > 0 {
		t.Fatalf("looking at a sound store: %v, error %v", report.Faults, err)
	}
	if report.Units != testUnits || report.KeyID != w.cfg.KeyID || report.Last.Tick != w.m.last.Tick || report.Generation == 0 || report.Disk == 0 {
		t.Fatalf("the report: %+v", report)
	}
	for _, table := range report.Tables {
		if table.Values != values[table.Table] {
			t.Errorf("table %d: %d values, reported %d", table.Table, values[table.Table], table.Values)
		}
	}
	if after := digest(t, w.cfg.Dir); !maps.Equal(before, after) {
		t.Errorf("looking changed the store: %v, was %v", after, before)
	}
	if _, _, err := Compact(t.Context(), w.cfg.Dir, 0); err != nil {
		t.Fatal(err)
	}
	w.s = mustOpen(t, w.cfg)
	w.m.compare(t, w.s, w.rng)
	for i := range w.s.current.Load().units {
		for id, table := range w.s.current.Load().units[i].tables {
			for n, p := range table.each() {
				if p.deltas > 0 {
					t.Errorf("unit %d, table %d, page %d has %d deltas after compacting", i, id, n, p.deltas)
				}
			}
		}
	}
	if st := w.s.Stats(); st.Garbage > st.Bytes/4+64<<10 {
		t.Errorf("after compacting there are %d bytes of garbage beside %d", st.Garbage, st.Bytes)
	}
}

// digest is what is in each file below a directory.
func digest(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == ballastFile {
			return err
		}
		b, err := os.ReadFile(path)
		sums[path] = fmt.Sprintf("%d %s", len(b), checksum(b))
		return err
	})
	if err != nil || len(sums) == 0 {
		t.Fatalf("%d files, error %v", len(sums), err)
	}
	return sums
}
