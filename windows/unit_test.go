package windows

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
)

// compare asks the unit and the reference for everything that can be asked
// about key k as of tick.
func compare(t *testing.T, u *Unit, f *reference, table int, k Key, tick int64) {
	t.Helper()
	slot, found := u.Find(k)
	for i := range f.l.Tables[table].Series {
		s := &f.l.Tables[table].Series[i]
		for _, w := range s.Windows {
			if !found {
				if n := len(f.in(k, s, w, tick)); n > 0 {
					t.Fatalf("tick %d: key %x is gone with %d rows in %d s", tick, k, n, w)
				}
				continue
			}
			if err := compareSeries(u, f, slot, k, i, s, w, tick); err != nil {
				t.Fatalf("tick %d table %d series %d (kind %d) window %d: %v", tick, table, i, s.Kind, w, err)
			}
		}
	}
}

func compareSeries(u *Unit, f *reference, slot uint32, k Key, i int, s *Series, w Window, tick int64) error {
	switch s.Kind {
	case Count, Sum:
		if got, want := u.Total(slot, i, w, tick), f.total(k, s, w, tick); got != want {
			return fmt.Errorf("total %d, want %d", got, want)
		}
		pane := w.Ring().Pane()
		for _, back := range []int64{0, int64(w) / 3, int64(w)} {
			before := floorTo(tick-back, pane)
			if got, want := u.TotalBefore(slot, i, w, tick, before+pane/2), f.totalBefore(k, s, w, tick, before); got != want {
				return fmt.Errorf("total before %d %d, want %d", before, got, want)
			}
		}
	case MinMax:
		lo, hi, ok := u.MinMax(slot, i, w, tick)
		vs := f.observed(k, s, w, tick)
		if ok != (len(vs) > 0) || ok && (lo != slices.Min(vs) || hi != slices.Max(vs)) {
			return fmt.Errorf("min %d max %d ok %v, want those of %v", lo, hi, ok, vs)
		}
	case Distinct:
		got, want := u.Distinct(slot, i, w, tick), f.distinct(k, s, w, tick)
		if want <= exactPairs && got != float64(want) {
			return fmt.Errorf("distinct %v, want %d", got, want)
		}
		if want > exactPairs && (got <= exactPairs || math.Abs(got/float64(want)-1) > 0.35) {
			return fmt.Errorf("distinct %v, want about %d", got, want)
		}
	case Buckets:
		share, ok := u.Top(slot, i, w, tick)
		bits, ok2 := u.Entropy(slot, i, w, tick)
		wantShare, wantBits, wantOK := f.buckets(k, s, w, tick, 58)
		if ok != wantOK || ok2 != wantOK || math.Abs(share-wantShare) > 1e-12 || math.Abs(bits-wantBits) > 1e-9 {
			return fmt.Errorf("top %v entropy %v ok %v, want %v %v %v", share, bits, ok, wantShare, wantBits, wantOK)
		}
		if top, most, _ := f.buckets(k, s, w, tick, 0); share < top-1e-12 || bits > most+1e-9 {
			return fmt.Errorf("top %v entropy %v, not on the safe side of the exact %v %v", share, bits, top, most)
		}
	case Active:
		cv, ok := u.Cadence(slot, i, w, tick)
		want, wantOK := cadence(f.active(k, s, w, tick))
		if ok != wantOK || math.Abs(cv-want) > 1e-6*max(1, want) {
			return fmt.Errorf("cadence %v %v, want %v %v", cv, ok, want, wantOK)
		}
	case Span:
		first, last, ok := u.Span(slot, i, w, tick)
		secs := f.active(k, s, w, tick)
		if ok != (len(secs) > 0) || ok && (first != secs[0] || last != secs[len(secs)-1]) {
			return fmt.Errorf("span %d %d %v, want that of %v", first, last, ok, secs)
		}
	}
	return nil
}

func TestEveryWindowIsWhatScanningAllRowsSays(t *testing.T) {
	for seed := range uint64(6) {
		st := newStream(seed, testLayout(), []int{3, 40}[seed%2])
		u := NewUnit(st.l, 0)
		tick := int64(1_300_000_000) + int64(seed)*977
		asked := 0
		for range 700 {
			tick += st.gap()
			n := st.rng.IntN(6)
			if st.rng.IntN(50) == 0 {
				n = 150 // a burst
			}
			parts := st.tick(tick, n)
			u.Fold(tick, rowsOf(parts), parts)
			u.Expire(tick)
			if st.rng.IntN(7) == 0 {
				u = restored(t, u)
			}
			at := tick
			if st.rng.IntN(5) == 0 {
				at += st.rng.Int64N(1000) // a window may be read after its key was touched
			}
			for range 3 {
				table := st.rng.IntN(len(st.l.Tables))
				compare(t, u, st.ref, table, testKey(table, st.rng.IntN(st.keys)), at)
				asked++
			}
			tick = at
		}
		if asked == 0 || u.Len() == 0 {
			t.Fatal("nothing was compared")
		}
		if c := u.Counters(); c.Full+c.Refused+c.Evicted > 0 {
			t.Errorf("counters %+v, want nothing shed", c)
		}
	}
}

// restored returns the unit as its snapshot brings it back, which must give
// the same snapshot and account the same bytes.
func restored(t *testing.T, u *Unit) *Unit {
	t.Helper()
	b := u.AppendSnapshot(nil)
	v, err := RestoreUnit(u.layout, u.limit, b)
	if err != nil {
		t.Fatal(err)
	}
	if c := v.AppendSnapshot([]byte("x")); !bytes.Equal(c[1:], b) {
		t.Fatal("a restored unit gives another snapshot")
	}
	if v.Bytes() != u.Bytes() || v.Len() != u.Len() || v.Tick() != u.Tick() {
		t.Fatalf("restored: %d bytes %d keys tick %d, want %d %d %d", v.Bytes(), v.Len(), v.Tick(), u.Bytes(), u.Len(), u.Tick())
	}
	return v
}

func TestOrderAndBatchesOfRowsDoNotMatter(t *testing.T) {
	for seed := range uint64(4) {
		st := newStream(seed+100, testLayout(), 12)
		const limit = 12_000
		units := []*Unit{NewUnit(st.l, limit), NewUnit(st.l, limit), NewUnit(st.l, limit)}
		tick := int64(1_700_000_000)
		for range 300 {
			tick += st.gap()
			st.keys = 1 + st.rng.IntN(120)
			parts := st.tick(tick, st.rng.IntN(120))
			rows := rowsOf(parts)
			for n, u := range units {
				if n > 0 {
					st.rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
				}
				u.Fold(tick, rows, parts)
				checkTouched(t, u, rows)
				u.Expire(tick)
				u.Shed(tick)
			}
			units[2] = restored(t, units[2])
		}
		want := units[0].AppendSnapshot(nil)
		for _, u := range units[1:] {
			if !bytes.Equal(u.AppendSnapshot(nil), want) {
				t.Fatal("another order of rows gives another state")
			}
		}
		if c := units[0].Counters(); c.Evicted == 0 || c.Expired == 0 {
			t.Errorf("counters %+v: the limit was not tried", c)
		}
	}
}

func checkTouched(t *testing.T, u *Unit, rows []Row) {
	t.Helper()
	n := 0
	for i, touch := range u.Touched() {
		if i > 0 && compareKeys(u.Touched()[i-1].Key, touch.Key) >= 0 {
			t.Fatal("touched keys are not sorted")
		}
		if u.KeyOf(touch.Slot) != touch.Key || u.TableOf(touch.Slot) != touch.Table {
			t.Fatal("a touched slot holds another key")
		}
		var mask uint64
		last := -1
		u.RowsOf(touch.Slot, func(i int) {
			if rows[i].Key != touch.Key || i <= last {
				t.Fatalf("row %d is not of the key or out of order", i)
			}
			mask |= rows[i].Mask
			last = i
			n++
		})
		if mask != touch.Mask {
			t.Fatalf("mask %x, want %x", touch.Mask, mask)
		}
	}
	refused := 0
	for _, r := range rows {
		if _, ok := u.Find(r.Key); !ok {
			refused++
		}
	}
	if n+refused != len(rows) {
		t.Fatalf("%d rows touched keys and %d were refused, want %d", n, refused, len(rows))
	}
}

func TestKeysKeepTheirValuesAndParents(t *testing.T) {
	st := newStream(7, testLayout(), 50)
	u := NewUnit(st.l, 0)
	parts := st.tick(1000, 200)
	u.Fold(1000, rowsOf(parts), parts)
	parts = st.tick(1001, 200)
	u.Fold(1001, rowsOf(parts), parts)
	u = restored(t, u)
	scanned := 0
	for table := range st.l.Tables {
		u.Scan(table, nil, func(slot uint32, parent uint64) bool {
			scanned++
			k := u.KeyOf(slot)
			for i, v := range u.AppendValues(slot, nil) {
				if string(v) != st.all[k][i] {
					t.Errorf("value %q, want %q", v, st.all[k][i])
				}
			}
			if want := st.l.Tables[table].Parent; want && testKey(table, int(parent)) != k || !want && parent != 0 {
				t.Errorf("table %d key %x: parent %d", table, k, parent)
			}
			return false
		})
	}
	if scanned != len(st.all) || scanned == 0 {
		t.Errorf("scanned %d keys, want %d", scanned, len(st.all))
	}
}
