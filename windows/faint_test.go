package windows

import (
	"math/rand/v2"
	"testing"

	"weir/event"
)

// Faint rows count where their key is there, or comes in the same second,
// wherever they stand among the others; a key that might as well have been
// deleted is not there.
func TestAFaintRowBeginsNoKey(t *testing.T) {
	const strong, faint = 0, 1
	l := &Layout{Fields: []event.Field{event.FieldIP}, Tables: []Table{{
		Fields: []event.Field{event.FieldIP}, Retain: 70, Faint: 1 << faint,
		Series: []Series{{Kind: Count, Bit: strong, Windows: []Window{W1m}}, {Kind: Count, Bit: faint, Windows: []Window{W1m}}},
	}}}
	type model struct {
		last int64
		rows [2][]int64 // the seconds of those with each bit
	}
	rng := rand.New(rand.NewPCG(7, 7))
	u, keys := NewUnit(l, 0), map[int]*model{}
	dropped, begun := 0, 0
	tick := int64(1_700_000_000)
	for range 5000 {
		tick += 1 + int64(rng.IntN(9)*rng.IntN(2)+rng.IntN(2)*rng.IntN(2)*rng.IntN(60))
		d := &Deltas{Events: []Origin{{Second: tick - 1}}, Values: []byte{1, 'x'}}
		came := map[int][2]int{}
		for range 1 + rng.IntN(6) {
			i, bit := rng.IntN(6), rng.IntN(8)/7^1
			d.Rows = append(d.Rows, Row{Key: testKey(0, i), Mask: 1 << bit})
			n := came[i]
			n[bit]++
			came[i] = n
		}
		u.Fold(tick, d.Rows, []*Deltas{d})
		for i, n := range came {
			m := keys[i]
			if m == nil || tick-m.last > l.Tables[0].Retain {
				if n[strong] == 0 {
					dropped++
					continue
				}
				m = &model{}
				keys[i] = m
				begun++
			}
			m.last = tick
			for bit := range n {
				for range n[bit] {
					m.rows[bit] = append(m.rows[bit], tick-1)
				}
			}
		}
		if got := len(u.Touched()); got > len(came) {
			t.Fatalf("%d keys were touched, %d came", got, len(came))
		}
		for i := range 6 {
			m := keys[i]
			slot, ok := u.Find(testKey(0, i))
			if !ok || tick-u.LastTouch(slot) > l.Tables[0].Retain {
				if m != nil && tick-m.last <= l.Tables[0].Retain {
					t.Fatalf("tick %d: key %d is not there", tick, i)
				}
				continue
			}
			if m == nil {
				t.Fatalf("tick %d: key %d was begun by faint rows", tick, i)
			}
			for bit := range m.rows {
				want := uint64(0)
				for _, s := range m.rows[bit] {
					if s >= W1m.Start(tick) {
						want++
					}
				}
				if got := u.Total(slot, bit, W1m, tick); got != want {
					t.Fatalf("tick %d: key %d has %d rows with bit %d, must have %d", tick, i, got, bit, want)
				}
			}
		}
	}
	if dropped < 1000 || begun < 100 {
		t.Errorf("%d seconds of faint rows alone, %d keys begun: the test tells nothing", dropped, begun)
	}
}

// A key that is not there any more, but in the store still, is asked for once in
// a second, however much comes that begins no key.
func TestTheStoreIsAskedOnceForWhatBeginsNoKey(t *testing.T) {
	const (
		strong, faint = 0, 1
		keys          = 5000 // so that the store does not clean all up at once
	)
	l := &Layout{Fields: []event.Field{event.FieldIP}, Tables: []Table{{
		Fields: []event.Field{event.FieldIP}, Retain: 70, Faint: 1 << faint,
		Series: []Series{{Kind: Count, Bit: strong, Windows: []Window{W1m}}, {Kind: Count, Bit: faint, Windows: []Window{W1m}}},
	}}}
	r := &resident{t: t, rng: rand.New(rand.NewPCG(1, 1)), l: l, store: openStore(t), u: NewUnit(l, 0)}
	r.u.Attach(r.store.Unit(0))
	tell := func(tick int64, bit, from, to, times int) (asked uint64) {
		d := &Deltas{Events: []Origin{{Second: tick - 1}}, Values: []byte{1, 'x'}}
		for range times {
			for i := from; i < to; i++ {
				d.Rows = append(d.Rows, Row{Key: testKey(0, i), Mask: 1 << bit})
			}
		}
		before := r.u.outside.asked
		(&story{tick, d.Rows, []*Deltas{d}}).tell(r.u)
		r.check()
		if n := len(r.u.outside.missed); n != 0 {
			t.Errorf("%d keys are noted behind a fold", n)
		}
		return r.u.outside.asked - before
	}
	evict := func() {
		r.cut()
		r.encode(1 << 20)
		r.commit()
		r.u.Evict(0)
		if r.u.index.keys > 0 {
			t.Fatalf("%d keys are in memory still", r.u.index.keys)
		}
	}
	const begin = 1_700_000_000 / 3600 * 3600
	const later = begin + 2*3600 + 3000
	tell(begin+1, strong, 0, keys, 1)
	evict()
	tell(later, strong, keys, keys+1, 1) // the one that is alive
	evict()
	dead := 0
	for !r.store.Unit(0).Has(0, testKey(0, dead)) {
		dead++
	}
	if r.u.Len() != 1 || dead >= keys {
		t.Fatalf("%d keys are alive, want one, and others in the store", r.u.Len())
	}
	for second := range int64(3) {
		if asked := tell(later+10+second, faint, dead, dead+1, 1000); asked != 1 || r.u.index.keys > 0 {
			t.Errorf("the store was asked %d times and %d keys came, want once and none", asked, r.u.index.keys)
		}
	}
	if asked := tell(later+20, faint, keys, keys+1, 1000); asked != 1 || r.u.index.keys != 1 {
		t.Errorf("the store was asked %d times and %d keys came, want once and one", asked, r.u.index.keys)
	}
}
