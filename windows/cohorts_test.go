package windows

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestABinIsFoundWhereItIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 3000 {
		n := rng.IntN(40)
		var r row
		start := rng.Uint32N(100)
		for range n {
			start += 1 + rng.Uint32N(1+rng.Uint32N(4))
			r = append(r, bin{start: start, keys: 1})
		}
		for want := range start + 10 {
			at := slices.IndexFunc(r, func(b bin) bool { return b.start >= want })
			if at < 0 {
				at = len(r)
			}
			if i, ok := r.find(want); i != at || ok != (at < len(r) && r[at].start == want) {
				t.Fatalf("bin %d of %v: found at %d, %v, want %d", want, r, i, ok, at)
			}
		}
	}
}

func TestWhatWasNotCountedCannotBeTakenOut(t *testing.T) {
	c := newCohorts(1)
	c.add(0, 1, 7, 64)
	if c.sub(0, 1, 8, 64) || c.sub(0, 2, 7, 64) || c.sub(0, 1, 7, 80) || !c.sub(0, 1, 7, 64) || c.sub(0, 1, 7, 0) {
		t.Error("a key was taken out of a bin that it was not in")
	}
	u := NewUnit(testLayout(), 0)
	flood(u, 1000, 0, 1)
	u.cohorts.rows[0] = nil
	if flood(u, 2000, 0, 1); u.Err() == nil {
		t.Error("no error from keys that were not counted")
	}
}
