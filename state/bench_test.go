package state

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	benchKeys  = 1_000_000
	benchUnits = 64
	benchValue = 120
)

// bench is a store of a million keys, for benchmarks.
type bench struct {
	cfg  Config
	s    *Store
	keys []Key
	tick int64
	rng  *rand.Rand

	dirty int64 // bytes of all keys and values that changed
}

func newBench(b *testing.B) *bench { return newBenchOf(b, 0) }

func newBenchOf(b *testing.B, memory int64) *bench {
	b.Helper()
	w := &bench{rng: rand.New(rand.NewPCG(1, 2))}
	w.cfg = Config{Dir: b.TempDir(), Units: benchUnits, KeyID: "a key", Reserve: 1 << 20, Memory: memory}
	s, err := Open(b.Context(), w.cfg)
	if err != nil {
		b.Fatal(err)
	}
	w.s = s
	w.keys = make([]Key, benchKeys)
	for i := range w.keys {
		w.keys[i] = Key{w.rng.Uint64(), w.rng.Uint64()}
	}
	w.commit(b, w.changes(1))
	return w
}

// changes makes those of a share of the keys.
func (w *bench) changes(share float64) (ch changes) {
	ch = changes{}
	value := make([]byte, benchValue)
	for _, k := range w.keys {
		if share < 1 && w.rng.Float64() >= share {
			continue
		}
		for i := 0; i < benchValue; i += 8 {
			binary.LittleEndian.PutUint64(value[i:], w.rng.Uint64())
		}
		ch.set(w.s, k.Unit(benchUnits), 1, k, value)
		w.dirty += keyLen + benchValue
	}
	return ch
}

func (w *bench) commit(b *testing.B, ch changes) {
	c := w.s.Begin(func(int, uint16, []byte) bool { return true })
	ch.put(b, c)
	w.tick++
	if err := c.Commit(b.Context(), Flip{Tick: w.tick}); err != nil {
		b.Fatal(err)
	}
}

func (w *bench) report(b *testing.B) {
	s := w.s.Stats()
	b.ReportMetric(float64(s.Disk)/benchKeys, "disk-B/key")
	b.ReportMetric(float64(s.Bytes)/benchKeys, "live-B/key")
	b.ReportMetric(float64(s.Memory)/benchKeys, "directory-B/key")
}

func benchCheckpoint(b *testing.B, share float64) {
	w := newBench(b)
	defer w.s.Close()
	before := w.s.Stats().Written
	w.dirty = 0
	for b.Loop() {
		b.StopTimer()
		ch := w.changes(share)
		b.StartTimer()
		w.commit(b, ch)
	}
	b.ReportMetric(float64(w.s.Stats().Written-before)/float64(w.dirty), "written/dirty")
	w.report(b)
}

func BenchmarkCheckpointAllDirty(b *testing.B) { benchCheckpoint(b, 1) }

func BenchmarkCheckpointOnePercentDirty(b *testing.B) { benchCheckpoint(b, 0.01) }

// benchCheckpoints shows what checkpoints cost, on Badger's side too: what the
// process writes, also behind them until Badger is at rest, and the processor's time.
func benchCheckpoints(b *testing.B, share float64, memory int64) {
	const rounds = 20
	for b.Loop() {
		b.StopTimer()
		w := newBenchOf(b, memory)
		w.rest()
		before, wrote, cpu := w.s.Stats().Written, processWrote(b), processTime(b)
		w.dirty = 0
		var making time.Duration
		b.StartTimer()
		for range rounds {
			began := processTime(b)
			ch := w.changes(share)
			making += processTime(b) - began
			w.commit(b, ch)
		}
		b.StopTimer()
		w.rest()
		given := float64(w.s.Stats().Written - before)
		b.ReportMetric(given/float64(w.dirty), "given/dirty")
		b.ReportMetric((processWrote(b)-wrote)/given, "disk/given")
		b.ReportMetric((processTime(b)-cpu-making).Seconds()/rounds, "cpu-s/checkpoint")
		w.report(b)
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// rest waits until Badger has nothing more to do.
func (w *bench) rest() {
	const still = 8
	for quiet, last := 0, ""; quiet < still; quiet++ {
		if now := fmt.Sprint(w.s.db.Levels()[0].NumTables, w.s.db.LevelsToString()); now != last {
			quiet, last = 0, now
		}
		time.Sleep(150 * time.Millisecond)
	}
}

func processWrote(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(line, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func processTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkTwentyCheckpointsOnePercentDirty(b *testing.B) { benchCheckpoints(b, 0.01, 0) }

func BenchmarkTwentyCheckpointsTwentyPercentDirty(b *testing.B) { benchCheckpoints(b, 0.2, 0) }

// BenchmarkGrowingBySixtyCheckpoints adds 25,000 keys to a million at each checkpoint,
// as a flood does whose addresses come twice: each page gets a key now and then, is
// merged, and at last is split.
func BenchmarkGrowingBySixtyCheckpoints(b *testing.B) {
	const rounds, added = 60, 25_000
	for b.Loop() {
		b.StopTimer()
		w := newBench(b)
		w.rest()
		cpu, making := processTime(b), time.Duration(0)
		b.StartTimer()
		for range rounds {
			began := processTime(b)
			for i := range added {
				w.keys[i] = Key{w.rng.Uint64(), w.rng.Uint64()}
			}
			all := w.keys
			w.keys = w.keys[:added]
			ch := w.changes(1)
			w.keys = all
			making += processTime(b) - began
			w.commit(b, ch)
		}
		b.StopTimer()
		w.rest()
		b.ReportMetric(float64((processTime(b)-cpu-making).Nanoseconds())/rounds/added, "cpu-ns/new-key")
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkFirstCheckpoint(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := newBench(b) // writes all keys once
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
		w.cfg.Dir = b.TempDir()
		s, err := Open(b.Context(), w.cfg)
		if err != nil {
			b.Fatal(err)
		}
		w.s = s
		ch := w.changes(1)
		b.StartTimer()
		w.commit(b, ch)
		b.StopTimer()
		w.report(b)
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkOpenAndScan(b *testing.B) {
	w := newBench(b)
	for range 20 {
		w.commit(b, w.changes(0.01))
	}
	if err := w.s.Close(); err != nil {
		b.Fatal(err)
	}
	cpu, opened := processTime(b), 0
	defer func() { b.ReportMetric((processTime(b)-cpu).Seconds()/float64(opened), "cpu-s/open") }()
	for b.Loop() {
		opened++
		s, err := Open(b.Context(), w.cfg)
		if err != nil || s.Broken() != "" {
			b.Fatal(err, s.Broken())
		}
		count := 0
		for i := range benchUnits {
			if err := s.Unit(i).Scan(1, func(Key, []byte) error { count++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
		if count != benchKeys {
			b.Fatalf("%d keys", count)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	var cpu0 time.Duration
	n := 0
	defer func() { b.ReportMetric(float64((processTime(b)-cpu0).Microseconds())/float64(n), "cpu-us") }()
	w := newBench(b)
	defer w.s.Close()
	for range 20 {
		w.commit(b, w.changes(0.01))
	}
	var dst []byte
	for b.Loop() {
		if n == 0 {
			cpu0 = processTime(b)
		}
		n++
		k := w.keys[w.rng.IntN(benchKeys)]
		v, ok, err := w.s.Unit(k.Unit(benchUnits)).Get(1, k, dst[:0])
		if !ok || err != nil {
			b.Fatal(ok, err)
		}
		dst = v
	}
}

func BenchmarkHasOfAbsentKeys(b *testing.B) {
	w := newBench(b)
	defer w.s.Close()
	wrong, asked := 0, 0
	for b.Loop() {
		k := Key{w.rng.Uint64(), w.rng.Uint64()}
		if w.s.Unit(k.Unit(benchUnits)).Has(1, k) {
			wrong++
		}
		asked++
	}
	b.ReportMetric(100*float64(wrong)/float64(asked), "%wrong")
}

// BenchmarkMemoryOfAStore shows what a store keeps in memory while checkpoints are
// written, besides its directory and what waits to be written: the most after any
// collection.
func BenchmarkMemoryOfAStore(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := newBenchOf(b, 32<<20)
		for range 3 {
			w.commit(b, w.changes(0.1))
		}
		ch := w.changes(0.3)
		closed := liveBytes()
		b.StartTimer()
		c := w.s.Begin(nil)
		var most, waiting int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for at, changed := range ch {
				for !c.Room() {
					time.Sleep(time.Millisecond)
				}
				if err := c.Put(at.unit, at.table, at.page, changed); err != nil {
					b.Error(err)
				}
			}
			w.tick++
			if err := c.Commit(b.Context(), Flip{Tick: w.tick}); err != nil {
				b.Error(err)
			}
		}()
		for wait := true; wait; {
			select {
			case <-done:
				wait = false
			default:
				c.mu.Lock()
				waiting = c.waiting
				c.mu.Unlock()
				most = max(most, liveBytes()-closed-waiting)
			}
		}
		b.StopTimer()
		b.ReportMetric(float64(most)/(1<<20), "MiB-more")
		b.ReportMetric(float64(w.s.Stats().Memory)/(1<<20), "MiB-directory")
		clear(ch)
		w.keys = nil
		w.rest()
		closed = liveBytes()
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(closed-liveBytes())/(1<<20), "MiB-at-rest")
		b.StartTimer()
	}
}

// liveBytes collects twice: pools give up what they had at the second time.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkTenMillionKeys shows that a store by itself holds them: bytes on disk for
// each, garbage and all, and what opening takes.
func BenchmarkTenMillionKeys(b *testing.B) {
	const keys, step, valueLen, rounds = 10_000_000, 500_000, 100, 30
	keyOf := func(i int) Key {
		rng := rand.NewPCG(uint64(i), 77)
		return Key{rng.Uint64(), rng.Uint64()}
	}
	for b.Loop() {
		w := &bench{rng: rand.New(rand.NewPCG(1, 2))}
		w.cfg = Config{Dir: b.TempDir(), Units: benchUnits, KeyID: "a key", Reserve: 1 << 20, Memory: 32 << 20}
		w.s = mustOpen(b, w.cfg)
		value := make([]byte, valueLen)
		commit := func(count int, pick func(n int) int) {
			ch := changes{}
			for n := range count {
				k := keyOf(pick(n))
				binary.LittleEndian.PutUint64(value, w.rng.Uint64())
				ch.set(w.s, k.Unit(benchUnits), 1, k, value)
			}
			w.dirty += int64(count) * (keyLen + valueLen)
			w.commit(b, ch)
		}
		for from := 0; from < keys; from += step {
			commit(step, func(n int) int { return from + n })
		}
		before, most := w.s.Stats().Written, int64(0)
		w.dirty = 0
		for range rounds {
			commit(300_000, func(int) int { return w.rng.IntN(keys) })
			most = max(most, w.s.Stats().Disk)
		}
		st := w.s.Stats()
		b.ReportMetric(float64(st.Disk)/keys, "disk-B/key")
		b.ReportMetric(float64(most)/keys, "most-disk-B/key")
		b.ReportMetric(float64(st.Bytes)/keys, "live-B/key")
		b.ReportMetric(float64(st.Memory)/keys, "directory-B/key")
		b.ReportMetric(float64(st.Written-before)/float64(w.dirty), "given/dirty")
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
		cpu, began := processTime(b), time.Now()
		w.s = mustOpen(b, w.cfg)
		b.ReportMetric(time.Since(began).Seconds(), "s/open")
		b.ReportMetric((processTime(b) - cpu).Seconds(), "cpu-s/open")
		if n := w.s.Stats().Keys; n < keys*98/100 || w.s.Broken() != "" {
			b.Fatal(n, w.s.Broken())
		}
		if err := w.s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
