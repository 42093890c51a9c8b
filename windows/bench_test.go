package windows

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weir/event"
	"weir/state"
)

// benchLayout is what some twenty rules keep of four shapes of keys.
func benchLayout() *Layout {
	ip, net, fp, ep := event.FieldIP, event.FieldNet, event.FieldFingerprint, event.FieldEndpoint
	counts := func(ws ...Window) []Series {
		return []Series{
			{Kind: Count, Bit: 0, Windows: ws}, {Kind: Count, Bit: 1, Windows: ws}, {Kind: Count, Bit: 2, Windows: ws[:1]},
		}
	}
	retain := int64(W24h) + 3600
	return &Layout{
		Fields: []event.Field{ip, net, fp, ep}, Obs: 2,
		Tables: []Table{
			{Fields: []event.Field{ip}, Retain: retain, Series: append(counts(W10m, W1h, W24h),
				Series{Kind: Distinct, Bit: 1, Obs: 0, Windows: []Window{W10m, W24h}},
				Series{Kind: Distinct, Bit: 0, Obs: 1, Windows: []Window{W1h}})},
			{Fields: []event.Field{net}, Retain: retain, Series: append(counts(W1h, W24h),
				Series{Kind: Distinct, Bit: 1, Obs: 0, Windows: []Window{W1h, W24h}})},
			{Fields: []event.Field{fp}, Retain: retain, Series: append(counts(W10m, W1h, W24h),
				Series{Kind: Distinct, Bit: 0, Obs: 1, Windows: []Window{W24h}})},
			{Fields: []event.Field{ep, ip}, Retain: retain, Series: counts(W10m, W24h)},
		},
	}
}

// traffic makes ticks of events, each with a key in every table.
type traffic struct {
	rng  *rand.Rand
	zipf *rand.Zipf // nil: uniform
	keys int        // of each table
	d    Deltas
	from []*Deltas
}

func newTraffic(keys int, zipf bool) *traffic {
	tr := &traffic{rng: rand.New(rand.NewPCG(1, 2)), keys: keys}
	if zipf {
		tr.zipf = rand.NewZipf(tr.rng, 1.08, 10, uint64(keys-1))
	}
	tr.from = []*Deltas{&tr.d}
	return tr
}

func (tr *traffic) tick(events int, second int64) []Row {
	d := &tr.d
	d.Events, d.Obs, d.Rows, d.Values = d.Events[:0], d.Obs[:0], d.Rows[:0], d.Values[:0]
	for e := range events {
		n := tr.rng.IntN(tr.keys)
		if tr.zipf != nil {
			n = int(tr.zipf.Uint64())
		}
		d.Events = append(d.Events, Origin{Second: second, Values: uint32(len(d.Values))})
		d.Obs = append(d.Obs, mix(uint64(tr.rng.IntN(1000))), mix(uint64(tr.rng.IntN(20))))
		for _, size := range []int{4, 3, 16, 12} {
			d.Values = append(append(d.Values, byte(size)), "0123456789abcdefgh"[:size]...)
		}
		mask := uint64(1 | tr.rng.IntN(8))
		for t := range uint16(4) {
			d.Rows = append(d.Rows, Row{Key: testKey(int(t), n), Mask: mask, Event: uint32(e), Table: t})
		}
	}
	return d.Rows
}

// fill folds one event of every key, spread over some seconds.
func (tr *traffic) fill(u *Unit) (tick int64) {
	tick = 1_700_000_000
	const perTick = 1000
	zipf, keys := tr.zipf, tr.keys
	tr.zipf = nil
	for first := 0; first < keys; first += perTick {
		tick++
		rows := tr.tick(perTick, tick-1)
		for i := range rows {
			rows[i].Key = testKey(int(rows[i].Table), first+int(rows[i].Event))
		}
		u.Fold(tick, rows, tr.from)
	}
	tr.zipf = zipf
	return tick
}

func BenchmarkFold(b *testing.B) {
	for _, c := range []struct {
		name   string
		zipf   bool
		events int
	}{{"uniform", false, 2000}, {"zipf", true, 2000}, {"zipf-sparse", true, 16}} {
		b.Run(c.name, func(b *testing.B) {
			tr := newTraffic(250_000, c.zipf)
			u := NewUnit(benchLayout(), 0)
			tick := tr.fill(u)
			b.ReportMetric(float64(u.Bytes())/float64(u.Len()), "B/sparse-key")
			b.ReportAllocs()
			rows := 0
			for b.Loop() {
				b.StopTimer()
				tick++
				r := tr.tick(c.events, tick-1)
				rows += len(r)
				b.StartTimer()
				u.Fold(tick, r, tr.from)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
			b.ReportMetric(float64(u.Bytes())/float64(u.Len()), "B/key")
			b.ReportMetric(float64(u.Len()), "keys")
		})
	}
}

func BenchmarkFoldNewKeys(b *testing.B) {
	u := NewUnit(benchLayout(), 100<<20)
	tr := newTraffic(1<<40, false)
	rows, tick := 0, int64(1_700_000_000)
	for b.Loop() {
		b.StopTimer()
		tick++
		r := tr.tick(2000, tick-1)
		rows += len(r)
		b.StartTimer()
		u.Fold(tick, r, tr.from)
		u.Shed(tick)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
	b.ReportMetric(float64(u.Counters().Evicted)/float64(rows), "evicted/row")
}

// busyUnit has one key that is touched every second for two days' worth of panes.
func busyUnit() (*Unit, uint32, int64) {
	u := NewUnit(benchLayout(), 0)
	tr := newTraffic(1, false)
	tick := int64(1_700_000_000)
	for range 9000 {
		tick += 20
		u.Fold(tick, tr.tick(3, tick-1), tr.from)
	}
	slot, _ := u.Find(testKey(0, 0))
	return u, slot, tick
}

func BenchmarkTotal(b *testing.B) {
	u, slot, tick := busyUnit()
	for _, w := range []Window{W10m, W1h, W24h} {
		b.Run(fmt.Sprintf("%ds", w), func(b *testing.B) {
			var n uint64
			for b.Loop() {
				n += u.Total(slot, 0, w, tick)
			}
			if n == 0 {
				b.Fatal("nothing counted")
			}
		})
	}
}

func BenchmarkDistinct(b *testing.B) {
	u, slot, tick := busyUnit()
	for _, w := range []Window{W10m, W24h} {
		b.Run(fmt.Sprintf("%ds", w), func(b *testing.B) {
			var n float64
			for b.Loop() {
				n += u.Distinct(slot, 3, w, tick)
			}
			b.ReportMetric(n/float64(b.N), "distinct")
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	tr := newTraffic(250_000, false)
	u := NewUnit(benchLayout(), 0)
	tr.fill(u)
	var buf []byte
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			buf = u.AppendSnapshot(buf[:0])
		}
		b.ReportMetric(float64(len(buf))/float64(u.Len()), "B/key")
	})
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			if _, err := RestoreUnit(u.layout, 0, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCheckpoint writes the keys of a unit to a store, as a first
// checkpoint does, has them leave memory, and reads them back.
func BenchmarkCheckpoint(b *testing.B) {
	const keys = 25_000 // of each of four tables
	tr := newTraffic(keys, false)
	var encode, settle, evict, load time.Duration
	written := 0
	for b.Loop() {
		b.StopTimer()
		s, err := state.Open(b.Context(), state.Config{Dir: b.TempDir(), Units: 1, Temporary: true})
		if err != nil {
			b.Fatal(err)
		}
		u := NewUnit(benchLayout(), 0)
		u.Attach(s.Unit(0))
		tr.fill(u)
		u.Cut(true)
		cp := s.Begin(nil)
		to := sinkOf(cp, func() bool { return true })
		put := to.Put
		to.Put = func(table uint16, page uint32, changes []byte) error {
			written += len(changes)
			return put(table, page, changes)
		}
		b.StartTimer()
		begin := time.Now()
		for done := false; !done; {
			if done, err = u.Encode(to); err != nil {
				b.Fatal(err)
			}
		}
		encode += time.Since(begin)
		if err := cp.Commit(b.Context(), state.Flip{Units: [][]byte{u.AppendHead(nil)}}); err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		u.Settle(true)
		settle += time.Since(begin)
		begin = time.Now()
		u.Evict(0)
		evict += time.Since(begin)
		begin = time.Now()
		if err := u.Load(1 << 40); err != nil {
			b.Fatal(err)
		}
		load += time.Since(begin)
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / (4 * keys) }
	b.ReportMetric(each(encode), "encode-ns/key")
	b.ReportMetric(each(settle), "settle-ns/key")
	b.ReportMetric(each(evict), "evict-ns/key")
	b.ReportMetric(each(load), "load-ns/key")
	b.ReportMetric(float64(written)/float64(b.N)/(4*keys), "B/key")
}

// BenchmarkEstimate reads sketches of so many values, each seen in a second of its
// own: many sketches, so that the processor does not know the next one by heart.
func BenchmarkEstimate(b *testing.B) {
	const sketches = 256
	for _, values := range []uint32{200, 2000} {
		var all [sketches][]byte
		for n := range all {
			e := &edit{b: appendEmptySketch(make([]byte, 0, maxBlob), 0), limit: maxBlob}
			k := sketchAt(e, 0, len(e.b), &section{pane: 1})
			for i := range values {
				k.insert(event.Mix(uint64(n)<<32+uint64(i))>>16, i)
			}
			all[n] = e.b
		}
		for _, share := range []uint32{1, 2} { // the window goes back to the first one, or half as far
			b.Run(fmt.Sprintf("values=%d/window=1:%d", values, share), func(b *testing.B) {
				start := values - values/share
				for n := 0; b.Loop(); n++ {
					estimate(all[n%sketches], start)
				}
			})
		}
	}
}
