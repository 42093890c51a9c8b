package windows

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// forgetReads has the next reads look at what the unit holds.
func (u *Unit) forgetReads() {
	clear(u.totals[:])
	u.earlier, u.estimates = totals{}, nil
}

// What is remembered of a read is what would be read now: whatever was folded,
// shed, evicted and fetched since, and as of whatever tick.
func TestWhatWasReadIsNeverStale(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 21))
			st := newStream(seed+900, testLayout(), 30)
			r := newResident(t, rng, st.l, []int64{0, 40_000, 15_000}[seed%3])
			tick := int64(1_700_000_000)
			kept, sketches, times := 0, 0, 0
			for range 400 {
				switch rng.IntN(8) {
				case 0: // the same second again
					times++
				case 1:
					tick += min(st.gap(), 40*86400)
				default:
					tick++
				}
				parts := st.tick(tick, rng.IntN(1+rng.IntN(60)))
				s := &story{tick, rowsOf(parts), parts}
				s.tell(r.u)
				r.since = append(r.since, s)
				for range rng.IntN(3) {
					r.stir()
				}
				for range 8 {
					table := rng.IntN(len(st.l.Tables))
					k := testKey(table, int(float64(st.keys)*rng.Float64()*rng.Float64()))
					at := max(tick, (tick+299)/300*300) // often the same as of the read before
					if rng.IntN(3) == 0 {
						at = tick
					}
					got := readAll(r.u, table, k, at)
					totals, earlier, estimates := r.u.totals, r.u.earlier, r.u.estimates
					r.u.forgetReads()
					want := readAll(r.u, table, k, at)
					if r.u.estimates != nil {
						sketches++
					}
					if estimates != nil || earlier.fold != 0 {
						kept++
					}
					r.u.totals, r.u.earlier, r.u.estimates = totals, earlier, estimates
					if got != want {
						t.Fatalf("tick %d: key %x of table %d reads as of %d\n%s\nwant\n%s", tick, k, table, at, got, want)
					}
				}
			}
			r.count()
			if kept < 100 || sketches < 100 || times < 20 || r.loaded == 0 || r.evicted == 0 {
				t.Errorf("%d reads with estimates, %d of sketches, %d seconds that came again, %d keys left, %d loaded: not much was tried",
					kept, sketches, times, r.evicted, r.loaded)
			}
		})
	}
}

// What is kept of reads is memory that the unit really holds.
func TestWhatWasReadIsResident(t *testing.T) {
	if size := int64(reflect.TypeFor[estimated]().Size()); size != estimatedBytes {
		t.Errorf("an estimate is accounted with %d bytes, has %d", estimatedBytes, size)
	}
	o := newOne(Series{Kind: Distinct, Windows: []Window{W10m}})
	tick := int64(1_700_000_000)
	for i := range 2 * maxPairs {
		tick++
		o.fold(tick, mix(uint64(i)))
	}
	before := o.u.Resident()
	o.distinct(W10m, tick)
	if got := o.u.Resident() - before; got != keptEstimates*estimatedBytes {
		t.Errorf("%d bytes more behind an estimate, want %d", got, keptEstimates*estimatedBytes)
	}
	c := newOne(Series{Kind: Count, Windows: []Window{W10m}})
	c.fold(tick, 1)
	before = c.u.Resident()
	slot, _ := c.u.Find(c.k)
	c.u.Total(slot, 0, W10m, tick)
	c.u.TotalBefore(slot, 0, W10m, tick, tick)
	if got := c.u.Resident() - before; got != 2*8 {
		t.Errorf("%d bytes more behind two totals, want %d", got, 2*8)
	}
}

// Every window has its own place, so that rules that ask for two in turn do not
// walk for each anew.
func TestEachWindowKeepsItsOwnTotals(t *testing.T) {
	of := map[int]Window{}
	for _, w := range Windows {
		n := w.number()
		if other, taken := of[n]; taken || n < 0 || n >= numbers {
			t.Errorf("the window of %d s is number %d of %d, as is that of %d s", w, n, numbers, other)
		}
		of[n] = w
	}
	if len(of) != len(Windows) || len(of) == 0 {
		t.Errorf("%d numbers of %d windows", len(of), len(Windows))
	}
}
