package windows

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

func TestASecondMayBeFoldedInParts(t *testing.T) {
	st := newStream(11, testLayout(), 4)
	whole, parted := NewUnit(st.l, 0), NewUnit(st.l, 0)
	tick := int64(1_700_000_000)
	for range 200 {
		tick += st.gap()
		parts := st.tick(tick, st.rng.IntN(80))
		rows := rowsOf(parts)
		whole.Fold(tick, rows, parts)
		cut := st.rng.IntN(len(rows) + 1)
		parted.Fold(tick, rows[cut:], parts)
		parted.Fold(tick, rows[:cut], parts)
		if !bytes.Equal(whole.AppendSnapshot(nil), parted.AppendSnapshot(nil)) {
			t.Fatalf("tick %d: folding %d and %d rows gives another state than %d at once", tick, cut, len(rows)-cut, len(rows))
		}
	}
}

func TestNumbersAreSkippedWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 5000 {
		var b []byte
		n := rng.IntN(40)
		for range n {
			b = binary.AppendUvarint(b, rng.Uint64()>>rng.IntN(64))
		}
		end := len(b)
		b = append(b, make([]byte, rng.IntN(12))...)
		if got := skip(b, 0, n); got != end {
			t.Fatalf("%d numbers end at %d, want %d", n, got, end)
		}
	}
}

func TestSumsSaturate(t *testing.T) {
	o := newOne(Series{Kind: Sum, Windows: []Window{W10s}})
	o.fold(100, math.MaxUint64-5, 3)
	o.fold(101, 1)
	slot, _ := o.u.Find(o.k)
	if got := o.u.Total(slot, 0, W10s, 101); got != math.MaxUint64-1 {
		t.Errorf("total %d, want %d", got, uint64(math.MaxUint64-1))
	}
	o.fold(101, 7)
	o.fold(102, 7)
	if got := o.u.Total(slot, 0, W10s, 102); got != math.MaxUint64 {
		t.Errorf("total %d, want %d", got, uint64(math.MaxUint64))
	}
}
