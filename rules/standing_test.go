package rules

import (
	"math/rand/v2"
	"testing"

	"weir/event"
)

func TestTheValueOfAKeyOfOneFieldIsFoundInIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		tb := table{seed: [2]uint64{rng.Uint64(), rng.Uint64()}, fields: []event.Field{event.FieldIP}}
		v := rng.Uint64()
		if got := tb.onlyValue(tb.keyOf(func(int) uint64 { return v }).Lo); got != v {
			t.Fatalf("value %016x comes back as %016x", v, got)
		}
	}
}

func TestASetHasWhatWasAddedAndTakesLittleMore(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{0, 1, 12, 13, 1000, 50_000} {
		values := map[uint64]bool{0: n > 1000}
		for len(values) <= n {
			values[rng.Uint64()>>(8*rng.IntN(6))] = true
		}
		var grown, known hashSet
		known.grow(len(values))
		before := known.bytes()
		for v, in := range values {
			if in {
				grown.add(v)
				known.add(v)
				known.add(v)
			}
		}
		for _, s := range []*hashSet{&grown, &known} {
			for v, in := range values {
				if s.has(v) != in {
					t.Fatalf("%d values: has %d is %v", n, v, !in)
				}
			}
			for range 1000 {
				if v := rng.Uint64(); s.has(v) != values[v] {
					t.Fatalf("%d values: has %d is %v", n, v, !values[v])
				}
			}
		}
		if known.bytes() != before || before > 16*leastSlots && before > int64(len(values))*8*5/4+64 {
			t.Errorf("a set of %d values takes %d bytes, %d before", n, known.bytes(), before)
		}
	}
}
