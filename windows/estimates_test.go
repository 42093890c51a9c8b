package windows

import (
	"math"
	"testing"
)

// ranked returns a hash of a register with a rank.
func ranked(register, rank int) uint64 {
	low := uint64(0)
	if rank <= rankBits {
		low = 1 << (rankBits - rank)
	}
	return uint64((register<<16+registers-1)/registers)<<rankBits | low
}

// A register that holds a rank as large already is what it was, for windows that reach
// back as far as that.
func TestOnlyWindowsThatHoldLessRise(t *testing.T) {
	const quantum, second = 10, 5000
	type seen struct{ rank, at int }
	for name, tt := range map[string]struct {
		before []seen
		rank   int
		rose   uint32
	}{
		"an empty register":           {nil, 3, 0},
		"only smaller ones":           {[]seen{{2, 4000}, {1, 4500}}, 3, 0},
		"an equal one":                {[]seen{{3, 4000}}, 3, 401},
		"a larger one":                {[]seen{{7, 4000}}, 3, 401},
		"larger ones, the latest":     {[]seen{{9, 3000}, {7, 4000}}, 3, 401},
		"a larger one, smaller since": {[]seen{{7, 4000}, {2, 4500}}, 3, 401},
		"an equal one, larger before": {[]seen{{9, 3000}, {3, 4500}}, 3, 451},
		"a larger one in the quantum": {[]seen{{7, 5000}}, 3, math.MaxUint32},
		"an equal one in the quantum": {[]seen{{3, 5000}}, 3, 501}, // said to rise, for windows that are not yet
	} {
		e := &edit{b: appendEmptySketch(make([]byte, 0, maxBlob), 123), limit: maxBlob}
		s := &section{pane: quantum}
		k := sketchAt(e, 0, len(e.b), s)
		for _, v := range tt.before {
			k.insert(ranked(17, v.rank), uint32(v.at))
		}
		k.insert(ranked(18, 1), second-1) // another register
		k.rose = math.MaxUint32
		whole := func(start uint32) float64 { return estimate(k.e.b[k.at:k.at+k.size], start) }
		before := map[uint32]float64{}
		for q := uint32(290); q <= 500; q++ {
			before[q] = whole(q)
		}
		k.insert(ranked(17, tt.rank), second)
		if k.rose != tt.rose && (k.rose < 501 || tt.rose < 501) {
			t.Errorf("%s: windows from quantum %d on hold more, must be %d", name, k.rose, tt.rose)
		}
		for q, was := range before {
			if got, want := was != whole(q), q >= k.rose; got != want {
				t.Errorf("%s: a window that begins in quantum %d reads another number: %v, said %v", name, q, got, want)
			}
		}
	}
}

func TestWhatDoesNotRiseStaysKnown(t *testing.T) {
	e := estimated{starts: [sketchWindows]uint32{100, 200, 300}, values: [sketchWindows]float64{1, 2, 3}, n: 3}
	e.keep(0, math.MaxUint32)
	if e.n != 3 {
		t.Fatalf("nothing rose, and %d windows of 3 are known", e.n)
	}
	e.keep(100, 300)
	if e.n != 2 || e.starts[1] != 200 || e.values[1] != 2 {
		t.Errorf("windows from 300 on rose: %d are known, %v", e.n, e.starts)
	}
	e.keep(101, 300)
	if e.n != 1 || e.starts[0] != 200 || e.values[0] != 2 {
		t.Errorf("what is before 101 is gone: %d are known, %v", e.n, e.starts)
	}
}

// Windows move on one by one; none takes the place of another.
func TestAWindowTakesItsOwnPlace(t *testing.T) {
	u := &Unit{}
	k := Key{Hi: 1, Lo: 2}
	starts := []uint32{9000, 5000, 100}
	for _, s := range starts {
		u.keepEstimate(k, 1, s, float64(s))
	}
	for step := range 50 {
		n := []int{0, 0, 0, 1, 0, 0, 1, 2}[step%8]
		starts[n] += 3
		u.keepEstimate(k, 1, starts[n], float64(starts[n]))
		for _, s := range starts {
			if v, ok := u.estimates.find(k, 1, s); !ok || v != float64(s) {
				t.Fatalf("step %d: of the window that begins at %d %v is known, %v", step, s, v, ok)
			}
		}
	}
}

// What was asked of a sketch is known until something rises.
func TestASketchIsNotReadAgain(t *testing.T) {
	o := newOne(Series{Kind: Distinct, Windows: []Window{W24h}})
	tick := int64(1_700_000_000)
	for i := range 20 * maxPairs {
		if i%50 == 0 {
			tick++
		}
		o.fold(tick, mix(uint64(i)))
	}
	before := o.distinct(W24h, tick)
	known := func() (n int) {
		for i := range o.u.estimates {
			n += o.u.estimates[i].n
		}
		return n
	}
	if known() != 1 {
		t.Fatalf("%d estimates are known behind one", known())
	}
	tick++
	o.fold(tick, mix(uint64(20*maxPairs-1))) // who was there
	if known() != 1 {
		t.Error("somebody came who was there, and the estimate is not known any more")
	}
	if got := o.distinct(W24h, tick); got != before {
		t.Errorf("%v different values, before %v", got, before)
	}
	for i := range 300 {
		o.fold(tick, mix(uint64(1e6+i)))
	}
	if known() != 0 {
		t.Error("300 came who were not there, and the estimate is known still")
	}
}
