package state

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
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

func newBench(b *testing.B) *bench {
	b.Helper()
	w := &bench{rng: rand.New(rand.NewPCG(1, 2))}
	w.cfg = Config{Dir: b.TempDir(), Units: benchUnits, KeyID: "a key", Reserve: 1 << 20}
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
	for b.Loop() {
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
	w := newBench(b)
	defer w.s.Close()
	for range 20 {
		w.commit(b, w.changes(0.01))
	}
	var dst []byte
	for b.Loop() {
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
