package windows

import (
	"math"
	"testing"

	"weir/event"
)

// one folds one row of one key in each tick; its only series is s.
type one struct {
	u *Unit
	d Deltas
	k Key
}

func newOne(s Series) *one {
	l := &Layout{
		Fields: []event.Field{event.FieldIP}, Obs: 1,
		Tables: []Table{{Fields: []event.Field{event.FieldIP}, Series: []Series{s}, Retain: int64(W7d) + 3600}},
	}
	return &one{u: NewUnit(l, 0), k: testKey(0, 1)}
}

// fold folds the observations of the second before tick.
func (o *one) fold(tick int64, obs ...uint64) {
	o.d.Events, o.d.Obs, o.d.Rows = o.d.Events[:0], o.d.Obs[:0], o.d.Rows[:0]
	o.d.Values = append(o.d.Values[:0], 4, 192, 0, 2, 1)
	for i, v := range obs {
		o.d.Events = append(o.d.Events, Origin{Second: tick - 1})
		o.d.Obs = append(o.d.Obs, v)
		o.d.Rows = append(o.d.Rows, Row{Key: o.k, Mask: 1, Event: uint32(i)})
	}
	o.u.Fold(tick, o.d.Rows, []*Deltas{&o.d})
}

func (o *one) distinct(w Window, tick int64) float64 {
	slot, ok := o.u.Find(o.k)
	if !ok {
		return 0
	}
	return o.u.Distinct(slot, 0, w, tick)
}

func TestDistinctErrsByAtMostSevenPercentBeyond96(t *testing.T) {
	for _, c := range []struct{ n, runs int }{
		{97, 200}, {120, 200}, {200, 200}, {500, 200}, {1000, 200}, {5000, 100}, {20_000, 60}, {200_000, 8},
	} {
		n, runs := c.n, c.runs
		var squares, worst float64
		for run := range runs {
			o := newOne(Series{Kind: Distinct, Windows: []Window{W24h}})
			perTick := max(1, n/50)
			tick := int64(1_000_000)
			var obs []uint64
			for i := range n {
				obs = append(obs, mix(uint64(run)<<32|uint64(i)))
				if len(obs) == perTick || i == n-1 {
					tick += 60
					o.fold(tick, obs...)
					obs = obs[:0]
				}
			}
			e := o.distinct(W24h, tick)/float64(n) - 1
			squares += e * e
			worst = max(worst, math.Abs(e))
		}
		rms := math.Sqrt(squares / float64(runs))
		t.Logf("n=%d: rms error %.2f %%, worst %.2f %%", n, rms*100, worst*100)
		if rms > 0.07 || worst > 0.25 {
			t.Errorf("n=%d: rms error %.2f %%, worst %.2f %%, must be at most 7 and 25", n, rms*100, worst*100)
		}
	}
}

func TestOneSketchAnswersEveryWindow(t *testing.T) {
	windows := []Window{W10m, W1h, W6h, W24h}
	squares := map[Window]float64{}
	measured := 0
	const runs = 40
	for run := range runs {
		o := newOne(Series{Kind: Distinct, Windows: windows})
		last := map[uint64]int64{} // when each value was last seen
		tick := int64(50_000_000)
		for i := range 3000 {
			tick += 31
			v := mix(uint64(run)<<40 | uint64(i*i%5000)<<4 | uint64(i%7))
			last[v] = tick - 1
			w := mix(uint64(run)<<40 | uint64(i%900))
			last[w] = tick - 1
			o.fold(tick, v, w)
		}
		for _, w := range windows {
			n := 0
			for _, at := range last {
				if at >= w.Start(tick) {
					n++
				}
			}
			got := o.distinct(w, tick)
			if n <= exactPairs {
				if got != float64(n) {
					t.Fatalf("window %d: %v distinct, want %d", w, got, n)
				}
				continue
			}
			measured++
			e := got/float64(n) - 1
			squares[w] += e * e / runs
		}
	}
	if measured == 0 {
		t.Fatal("no window held more than 96")
	}
	for w, v := range squares {
		t.Logf("window %d: rms error %.2f %%", w, 100*math.Sqrt(v))
		if math.Sqrt(v) > 0.07 {
			t.Errorf("window %d: rms error %.2f %%, must be at most 7", w, 100*math.Sqrt(v))
		}
	}
}

func TestDistinctIsExactTo96WithASketchBehindIt(t *testing.T) {
	o := newOne(Series{Kind: Distinct, Windows: []Window{W10m, W24h}})
	tick := int64(90_000_000)
	for i := range 5000 { // an old flood
		o.fold(tick, mix(uint64(i)))
		tick++
	}
	tick += 1200
	for i := range exactPairs {
		o.fold(tick, mix(uint64(1e6+i)))
		if got := o.distinct(W10m, tick); got != float64(i+1) {
			t.Fatalf("%v distinct in 10 minutes, want %d", got, i+1)
		}
		tick++
	}
	if got := o.distinct(W24h, tick); got < 4000 || got > 6200 {
		t.Errorf("%v distinct in a day, want about 5096", got)
	}
	for n := range 2 { // all of it is out of retention but for what comes now
		tick += 3 * 86400
		obs := []uint64{1 << 40, 2 << 40}[:n+1]
		o.fold(tick, obs...)
		if got := o.distinct(W24h, tick); got != float64(len(obs)) {
			t.Errorf("%v distinct after three days, want %d", got, len(obs))
		}
		if n := o.u.index.slot(0).size; n > 60 {
			t.Errorf("%d bytes kept for %d values, so what was before is still there", n, len(obs))
		}
	}
}

func TestASketchStaysSmallUnderAFlood(t *testing.T) {
	o := newOne(Series{Kind: Distinct, Windows: []Window{W1m, W7d}})
	tick := int64(90_000_000)
	most := 0
	obs := make([]uint64, 100)
	for i := range 4000 {
		for j := range obs {
			obs[j] = mix(uint64(i*len(obs) + j))
		}
		tick += 400
		o.fold(tick, obs...)
		slot, _ := o.u.Find(o.k)
		most = max(most, int(o.u.index.slot(slot).size))
	}
	t.Logf("%d values, %d bytes at most", 4000*len(obs), most)
	if most > 12_000 {
		t.Errorf("%d bytes, must be at most 12000", most)
	}
	if o.u.Counters().Full != 0 {
		t.Errorf("%d additions found no room", o.u.Counters().Full)
	}
}
